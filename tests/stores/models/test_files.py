"""Models in the store: what their manifests say of their making."""

from __future__ import annotations

from pathlib import Path

from stores.artefacts import Recipe, Store
from stores.models.files import ModelNotes, publish_model


def test_notes_of_the_making_say_what_is_known(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number, (notes, told) in enumerate(
        ((ModelNotes(seconds=2.5), {"seconds": 2.5}), (ModelNotes(start="there"), {"start": "there"}))
    ):
        recipe = Recipe("heads", {"number": number})
        with store.build(recipe) as folder:
            manifest = publish_model(store, recipe, folder, 7, notes)
        assert manifest.notes == told
        assert manifest.counts == {"images": 7}
