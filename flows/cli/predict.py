"""``wilss predict``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from flows.cli.options import Device, Flag, Out, Root, several
from flows.cli.printing import show
from flows.machine import machine_settings

if TYPE_CHECKING:
    from stores.models.predict import Predictions

UNREADABLE = 3
"""Exit code where inputs could not be decoded and the others have their results."""


def predict(
    checkpoint: str,
    images: Annotated[tuple[Path, ...], several()],
    *,
    out: Out,
    format: Literal["png", "coco", "overlay"] = "png",
    no_overlay: Flag = False,
    tta: Flag = False,
    window: int | None = None,
    overlap: float = 0.25,
    batch: int | None = None,
    every: int = 1,
    frame_masks: Flag = False,
    again: Flag = False,
    replace: Flag = False,
    root: Root = None,
    device: Device = None,
) -> None:
    """Segment images and videos with a checkpoint: a palette PNG and an overlay for each, and a table of all.

    Beside them lie predictions.csv (a row an image: share of each class in %) and legend.csv. What was finished with
    the same model and options is skipped when the command is given again.

    Args:
        checkpoint: alias, digest or folder of a checkpoint, or folder of a run, whose last one is taken
        images: images, videos (with the extra 'video'), folders with all below them, patterns like 'photos/**/*.jpg'
        out: folder of the results; below it, those of a folder's folders keep their places
        format: png (NAME.png and NAME-overlay.png), coco (predictions.json and overlays), or overlay alone
        no_overlay: no NAME-overlay.png
        tta: look at three scales, mirrored too, and average; takes six times as long and more
        window: side in pixels of windows that slide over each image at full size, instead of shrinking it
        overlap: share of a window that its neighbour sees too
        batch: images of one size that go through the network at once; 8 on a GPU, 1 on a CPU
        every: of a video's frames, only each such one
        frame_masks: palette PNGs of a video's frames too, in NAME-masks
        again: do what is finished anew
        replace: replace files that are there and are no results of this command; without it none is
    """
    from stores.models.predict import Predictions
    from stores.models.predict_options import PredictOptions
    from wilss.models.passes import Passes

    settings = machine_settings(root=root, device=device)
    passes = Passes(tta, window, overlap)
    options = PredictOptions(passes, format, not no_overlay, batch, again, replace, every, frame_masks)
    work = Predictions(checkpoint, images, out, settings.root, settings.device, options)
    for path in work.run():
        show(path)
    _print_shares(work)
    if said := work.told():
        from flows.cli import fail

        fail(said, UNREADABLE)


def _print_shares(work: Predictions) -> None:
    """Class, colour and share of everything in the folder; on standard error, as standard output lists results."""
    from stores.models.predict_options import colour_of
    from wilss.data.palette import hex_of
    from wilss.escapes import harmless

    entries = work.standing
    total = sum(sum(entry.pixels.values()) for entry in entries)
    if not total:
        return
    width = max(len(harmless(name)) for name in work.classes.values())
    lines = [f"{'class':{width}}  colour   share of {len(entries)} results, %   in"]
    for class_id, name in work.classes.items():
        pixels = sum(entry.pixels.get(class_id, 0) for entry in entries)
        found = sum(class_id in entry.pixels for entry in entries)
        if found:
            colour = hex_of(colour_of(work.card, class_id))
            lines.append(f"{harmless(name):{width}}  {colour}  {100 * pixels / total:6.2f}   {found}")
    print("\n".join(lines), file=sys.stderr)
