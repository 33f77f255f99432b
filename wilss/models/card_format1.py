"""Cards of format 1, in the words of today: ``index.json`` of students, ``about.json`` of few-shot models.

Only their places are changed here; what they say is checked with the card.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wilss.damage import read_sealed_manifest
from wilss.layout import MANIFEST

INDEX, ABOUT = "index.json", "about.json"
KINDS = {"shapes": "silhouettes", "stage 1": "stage 1"}
"""Stages in the recipes of few-shot models that are no heads, as kinds."""


def of_index(old: Mapping[str, Any]) -> dict[str, Any]:
    """The card of a student."""
    known = ("mean", "std", "arguments", "canvas")
    rest = {key: value for key, value in old.items() if key not in (*known, "student")}
    inputs = {key: old[key] for key in known if key in old}
    return {**rest, "format": 2, "kind": "student", "architecture": old.get("student"), "input": inputs}


def of_about(old: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The card of a few-shot model; which stage it is, its manifest alone told."""
    spec = _mapping(old.get("spec"))
    rest = {key: value for key, value in old.items() if key not in ("spec", "base_classes")}
    canvas = _mapping(spec.get("data")).get("canvas")
    return {
        **rest,
        "format": 2,
        "kind": KINDS.get(_stage(folder), "few-shot"),
        "architecture": old.get("spec"),
        "benchmark": spec.get("benchmark"),
        "input": {"canvas": canvas, **_mapping(old.get("input"))},
        "classes": old.get("base_classes", []),
        "class_ids": [],
    }


def _stage(folder: Path) -> str:
    """As the recipe in the manifest tells it; "head" where there is none."""
    manifest = read_sealed_manifest(folder) if (folder / MANIFEST).is_file() else {}
    return str(_mapping(_mapping(manifest).get("recipe")).get("stage", "head"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
