"""What a store knows of a student beside its card: how it scored, and how it was made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stores.manifests import Manifest, read_manifest
from stores.models.listing import Evaluated, list_students
from wilss.damage import place_of
from wilss.models.config import shared_in
from wilss.models.folder import Provenance

SETTINGS = ("epochs", "batch_size", "optimizer", "lr_backbone", "lr_head", "tuning")
"""Of a training, as a README tells them."""


def provenance_of(folder: Path) -> Provenance:
    """Of a student in a store all that is known; of one elsewhere the digest that its folder tells."""
    place = place_of(folder)
    if place is None:
        shared = shared_in(folder)
        return Provenance(shared.digest if shared else "")
    known = next((one for one in list_students(place.root).found if one.digest == place.digest), None)
    facts = tuple(_facts(read_manifest(folder)))
    if known is None or not known.evaluations:
        return Provenance(place.digest, facts=facts)
    return _scored(place.digest, known.evaluations[0], facts)


def _scored(digest: str, found: Evaluated, facts: tuple[tuple[str, str], ...]) -> Provenance:
    means = {"old": found.old, "new": found.new, "all": found.all}
    return Provenance(digest, found.images, found.per_class, means, facts)


def _facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    recipe: dict[str, Any] = manifest.recipe
    yield "made", manifest.created[:16].replace("T", " ") + " UTC"
    yield "method", str(recipe.get("method") or recipe.get("stage") or "taken from elsewhere")
    yield "training images", str(manifest.counts.get("images", 0))
    training = recipe.get("train")
    if isinstance(training, dict):
        yield "schedule", ", ".join(f"{name} {training[name]}" for name in SETTINGS if name in training)
    if "seed" in recipe:
        yield "seed", str(recipe["seed"])
    for role, digest in manifest.parents.items():
        yield role, digest[:12]
