"""Plain data of manifests and cards in words, for lists of facts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deployments.inspector.html import short
from deployments.inspector.links import Link, linked
from stores.artefacts import Manifest
from wilss.layout import default_root
from wilss.section import in_words

LONGEST = 2000
"""Letters of one fact."""


def facts_of(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values in words; what is empty is left out."""
    told = ((name, in_words(value)) for name, value in content.items() if value not in (None, {}, [], ""))
    return [(name, text if len(text) <= LONGEST else f"{text[:LONGEST]} …") for name, text in told]


def parents_of(manifest: Manifest, kinds: Mapping[str, Manifest]) -> Iterator[tuple[str, Link | str]]:
    """Role and link of what an artefact was made from; of what is gone, its digest."""
    for role, digest in manifest.parents.items():
        found = kinds.get(digest)
        yield role, linked(found.kind, digest) if found else f"{digest} (not here any more)"


def learn_command(manifest: Manifest, root: Path) -> str:
    """The command whose run learns from a label set."""
    spec = manifest.notes.get("spec")
    told = spec if isinstance(spec, dict) else {}
    words = ["wilss", "run", str(manifest.notes.get("benchmark") or "BENCHMARK")]
    for name in ("preset", "method", "scenario", "seed"):
        if told.get(name) is not None:
            words += [f"--{name}", str(told[name])]
    words += ["--set", f"label_sets.{manifest.notes.get('step') or 1}={short(manifest.digest)}"]
    if root.absolute() != default_root().absolute():
        words += ["--root", str(root)]
    return shlex.join(words)
