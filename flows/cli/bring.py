"""``wilss data import``: the data folder of what people have."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from flows.cli.printing import print_json, print_table, show

if TYPE_CHECKING:
    from wilss.data.bring.batch import Batch

bring_app = App(name="import", help="Make a data folder (images/, labels.csv, masks/, a benchmark) of what there is.")
SHOWN = 10
"""Things of a kind that are printed."""
Names = Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)]
Drawn = Literal["raw", "upright"] | None


@Parameter(name="*")
@dataclass(frozen=True)
class BringOptions:
    """Options of every form."""

    to: Path
    "folder to make; it must not exist, or be empty"
    classes: Names = ()
    "names to take, in the order of mask values; all when left out"
    new: Names = ()
    "classes of step 1 of the benchmark; those without masks, or else the last one, when left out"
    hold_out: float = 0.0
    "share of the images with masks that eval.txt lists"
    copy: bool = False
    "copy images; else they are hard links where the file system has them"
    json: bool = False
    "print JSON"


@bring_app.command(name="coco")
def bring_coco(
    annotations: Path,
    *,
    images: Path,
    options: BringOptions,
    eval: Path | None = None,
    eval_images: Path | None = None,
    drawn: Drawn = None,
) -> None:
    """Annotations of COCO's form, with categories of your own, by name; crowds become void.

    Args:
        annotations: the JSON file
        images: folder that its file names are seen from
        eval: a second JSON file, whose images are scored on
        eval_images: their folder; that of the others when left out
        drawn: of images turned by EXIF, whether they were annotated as stored or as shown, where both fit
    """
    from wilss.data.bring.coco import Part, from_coco

    parts = [Part(annotations, images)]
    if eval is not None:
        parts.append(Part(eval, eval_images or images, held_out=True))
    _bring(from_coco(parts, options.classes, drawn), options)


@bring_app.command(name="csv")
def bring_csv(table: Path, *, images: Path, options: BringOptions) -> None:
    """A table of tags: names of classes a row, or a column a class with 0 and 1; any delimiter.

    Args:
        table: the file; its first line is a header, its first column names the image
        images: folder of the images, those of its sub-folders included
    """
    from wilss.data.bring.tables import from_table

    _bring(from_table(table, images, options.classes), options)


@bring_app.command(name="labelme")
def bring_labelme(folder: Path, *, options: BringOptions, images: Path | None = None) -> None:
    """JSON files of labelme: polygons, rectangles and circles.

    Args:
        folder: of the JSON files, those of its sub-folders included
        images: folder of the images where they do not lie beside the JSON files
    """
    from wilss.data.bring.labelme import from_labelme

    _bring(from_labelme(folder, images, options.classes), options)


@bring_app.command(name="folder-of-folders")
def bring_folders(folder: Path, *, options: BringOptions) -> None:
    """A folder of images for each class; its name is the tag.

    Args:
        folder: the folder above those of the classes
    """
    from wilss.data.bring.tables import from_folders

    _bring(from_folders(folder, options.classes), options)


@bring_app.command(name="masks")
def bring_masks(
    masks: Path, *, images: Path, options: BringOptions, colours: Path | None = None, drawn: Drawn = None
) -> None:
    """Masks of colours, or of numbers of up to 16 bits.

    Args:
        masks: folder of the masks, named as their images
        images: folder of the images
        colours: what colours or numbers stand for: labelmap.txt, CSV (name,red,green,blue or name,id) or JSON of these;
            labelmap.txt in or beside the folder when left out, else the numbers of --classes
        drawn: of images turned by EXIF, whether masks were drawn as stored or as shown, where both fit
    """
    from wilss.data.bring.maps import numbered, read_map
    from wilss.data.bring.masks import from_masks
    from wilss.errors import SpecError

    beside = (masks / "labelmap.txt", masks.parent / "labelmap.txt")
    colours = colours or next((path for path in beside if path.is_file()), None)
    if colours is None and not options.classes:
        raise SpecError(
            "what the pixels stand for is not told; give --colours TABLE, or the names of 1, 2, ... with --classes"
        )
    table = read_map(colours, options.classes) if colours else numbered(options.classes)
    _bring(from_masks(masks, images, table, drawn), options)


def _bring(batch: Batch, options: BringOptions) -> None:
    """Build the folder and say what was made; exit code 1 where something could not be placed."""
    from wilss.data.bring.build import build
    from wilss.errors import SpecError

    if not 0 <= options.hold_out < 1:
        raise SpecError(f"--hold-out is {options.hold_out}; give a share from 0 to below 1")
    brought = build(batch, options.to, options.new, options.hold_out, options.copy)
    facts = {**asdict(brought), "complete": brought.complete}
    print_json(facts) if options.json else _print(facts)
    if not brought.complete:
        raise SystemExit(1)


def _print(facts: dict[str, Any]) -> None:
    print_table("images of each class", ["class", "images"], [[name, str(n)] for name, n in facts["classes"].items()])
    show(f"{facts['images']} of {facts['given']} images placed, {facts['masks']} masks, {facts['held_out']} held out")
    for severity, title in (("warn", "could not be placed"), ("note", "to know")):
        told = [finding for finding in facts["findings"] if finding["severity"] == severity]
        shown: Counter[str] = Counter()
        if told:
            show(f"{title}: {len(told)}")
        for finding in told:
            shown[finding["kind"]] += 1
            if shown[finding["kind"]] <= SHOWN:
                show(f"  '{finding['where']}' {finding['seen']}; {finding['cure']}")
        for kind, count in shown.items():
            if count > SHOWN:
                show(f"  ... and {count - SHOWN} more of the kind {kind} (--json shows all)")
    benchmark = ["--benchmark", facts["benchmark"]] if facts["masks"] else []  # without masks its step 0 is refused
    show(f"look it over: {shlex.join(['wilss', 'data', 'check', facts['folder'], *benchmark])}")
    if benchmark:
        return
    show(
        f"there are no masks, so step 0 cannot be learnt here: put the classes of a trained student into step 0 of "
        f"'{facts['benchmark']}' and name it with wilss run --start CHECKPOINT, or draw masks"
    )
