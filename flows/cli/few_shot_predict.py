"""``wilss few-shot predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli.options import Device, Flag, Out, Root, several
from flows.cli.printing import show
from flows.machine import machine_settings


def few_shot_predict(
    model: str,
    *,
    support: Annotated[tuple[Path, ...], several("--support")],
    query: Annotated[tuple[Path, ...], several("--query")],
    out: Out,
    object: Annotated[int | None, Parameter(name="--object")] = None,
    replace: Flag = False,
    weights: Path | None = None,
    root: Root = None,
    device: Device = None,
) -> None:
    """Find in pictures of your own what the masks of some others show: a mask and an overlay for each, and a table.

    Args:
        model: digest or folder of a trained head
        support: image and mask, one after the other, once or more; what is not 0 in a mask is the object
        query: images, folders with all below them, patterns like 'photos/**/*.jpg'
        out: folder of the results, NAME.png (1 is the object), NAME-overlay.png and predictions.csv
        object: value in the masks that is meant, where they show several objects
        replace: replace results that are there; without it nothing is replaced
        weights: folder of pretrained weights, for a head on a frozen backbone that nothing else has trained
    """
    from stores.models.fewshot_predict import FewShotPredictions

    settings = machine_settings(root=root, device=device, weights=weights)
    work = FewShotPredictions(
        model, support, query, out, settings.root, settings.device, settings.weights, object, replace
    )
    for path in work.run():
        show(path)
    if work.unreadable:
        from flows.cli import fail
        from flows.cli.predict import UNREADABLE

        shown = ", ".join(f"'{path}'" for path in work.unreadable)
        told = f"{len(work.unreadable)} of {len(work.inputs)} images cannot be decoded and have no result"
        fail(f"{told}: {shown}; replace these files", UNREADABLE)
