"""Models in the store: their commit."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from stores.artefacts import Manifest, Recipe, Store


class ModelNotes(BaseModel):
    """What the manifest of a model says of its making.

    seconds: that the training took. start: folder or file that was taken for it instead.
    """

    model_config = ConfigDict(frozen=True)

    seconds: float | None = None
    start: str | None = None


def publish_model(store: Store, recipe: Recipe, folder: Path, images: int, notes: ModelNotes) -> Manifest:
    """Commit a model.

    Args:
        images: that it was trained on.
    """
    return store.publish(recipe, folder, {"images": images}, notes.model_dump(mode="json", exclude_none=True))
