"""What the golden test compares: digests of every node of many runs, and losses of tiny trainings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from stores.artefacts import Kind, Store
from stores.plans.fewshot_run import FewShotRun
from stores.plans.plan import Node
from stores.plans.run import Run
from stores.plans.session import Session
from tests.golden.specs import FACTS, FEWSHOT, FEWSHOT_FACTS, HEADS, RECIPES, TINY
from wilss.digest import digest_of
from wilss.fewshot.spec import FewShotSpec, make_fewshot_spec
from wilss.models.card import ModelCard, load_card
from wilss.settings import Settings
from wilss.spec import RunSpec, make_spec

FILE = Path(__file__).with_name("golden.json")
Digests = dict[str, dict[str, str]]


@patch("wilss.precision.has_bf16", lambda device: True)
def digests(root: Path) -> Digests:
    """Name of a specification -> node -> digest; "settings" is the digest of the resolved settings.

    As on a machine with bf16, whatever this one has: what "auto" means there is part of a label set's digest.
    """
    settings = Settings(root=root)
    found: Digests = {}
    for name, content in {**RECIPES, **FACTS}.items():
        spec = make_spec(content)
        found[name] = {"settings": digest_of(spec.facts())}
        if name in RECIPES:
            found[name] |= _incremental(spec, settings)
    for name, content in {**FEWSHOT, **FEWSHOT_FACTS}.items():
        few = make_fewshot_spec(content)
        found[f"few-shot {name}"] = {"settings": digest_of(few.facts())}
        if name in FEWSHOT:
            found[f"few-shot {name}"] |= _fewshot(few, settings)
    return found


NAMES = {"memory bank": "bank", "checkpoint": "student", "final labels": "teacher labels"}
"""Node of a plan, without the number of its step -> its name in the golden file."""


def _incremental(spec: RunSpec, settings: Settings) -> dict[str, str]:
    plan = Run(spec, Session(settings)).plan
    return {_golden_name(node): node.recipe.digest for node in plan.values()}


def _golden_name(node: Node) -> str:
    name, _, step = node.name.rpartition(" ") if node.name[-1].isdigit() else (node.name, "", "")
    return f"{NAMES.get(name, name)} {step}".strip()


def _fewshot(spec: FewShotSpec, settings: Settings) -> dict[str, str]:
    plan = FewShotRun(spec, Session(settings)).plan
    return {node.name: node.recipe.digest for node in plan.values()}


@contextmanager
def _in_full_precision() -> Iterator[None]:
    """One thread: sums are made in one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def losses(root: Path) -> dict[str, Any]:
    """Losses of every epoch of tiny trainings in fp32, of each method and head, with their scores."""
    from flows.benchmark import run_benchmark
    from flows.fewshot import run_fewshot

    fp32 = {"precision": "fp32"}
    exact = {"base": fp32, "step": fp32, "foundation": fp32}
    found: dict[str, Any] = {}
    with _in_full_precision():
        for method in ("fmwiss", "wilson", "finetune", "joint"):
            report = run_benchmark(make_spec({**TINY, **exact, "method": method}), Settings(root=root))
            found[method] = {
                "metrics": report["metrics"],
                "history": _history(root, report),
            }
        for head in HEADS:
            content = {"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", "head": head}
            if head not in ("prior", "prototype"):
                content |= {"train": fp32, "stage1": fp32, "shapes": {"train": fp32}}
            report = run_fewshot(make_fewshot_spec(content), Settings(root=root))
            history = _losses(root, "heads", report["artefacts"]["head"])
            found[head] = {"novel": report["novel"]["mean_iou"], "history": history}
    return found


def _history(root: Path, report: dict[str, Any]) -> list[dict[str, float]]:
    names = [name for name in report["artefacts"] if name.startswith("checkpoint")]
    digest = report["artefacts"][max(names, key=lambda name: int(name.split()[-1]))]
    return _losses(root, "checkpoints", digest)


def _losses(root: Path, kind: Kind, digest: str) -> list[dict[str, float]]:
    return load_card(Store(root).path(kind, digest), ModelCard).history


def flat(content: Any, where: str = "") -> dict[str, float]:
    """Plain data as place -> number; what is None is left out on both sides alike."""
    if isinstance(content, dict):
        return {k: v for key, inner in content.items() for k, v in flat(inner, f"{where}/{key}").items()}
    if isinstance(content, list):
        return {k: v for key, inner in enumerate(content) for k, v in flat(inner, f"{where}/{key}").items()}
    return {} if content is None else {where: float(content)}
