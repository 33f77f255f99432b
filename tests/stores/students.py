"""Tiny students in a store."""

from __future__ import annotations

from pathlib import Path

import torch

from stores.artefacts import ArtefactRef, Recipe, Store
from tests.wilss.models.cards import SPEC, student_card
from wilss.models.files import save_model
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter


def publish_student(root: Path, number: int = 0, broken: bool = False, **parents: ArtefactRef) -> ArtefactRef:
    """A student with random weights.

    Args:
        broken: what it computes is too large for a number.
    """
    torch.manual_seed(number)
    model = build_segmenter(SPEC, find_weights("resnet_scenes", "none", None), (2,))
    if broken:
        with torch.no_grad():
            for numbers in model.classifiers[0].parameters():
                numbers.fill_(3e38)  # finite, as stored numbers have to be; their sum is not
    store, recipe = Store(root), Recipe("checkpoints", {"number": number}, parents)
    with store.build(recipe) as folder:
        save_model(model.state_dict(), student_card(), folder)
        return store.publish(recipe, folder, {"images": 1}).ref
