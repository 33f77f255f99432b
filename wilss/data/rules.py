"""What is wrong, or worth a word, with one image and its mask; from what was seen of their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wilss.data.findings import Finding
from wilss.data.gate import from_message
from wilss.data.looks import ImageLook, MaskLook
from wilss.data.mask_reading import Drawn, Reading, lies_on
from wilss.data.source import VOID

DARK = 16
"""Of 255: as bright as an image can be whose 12 bits were stored in 16."""
FEW_PIXELS = 16
"""An object of fewer is hardly one."""
BORDER = 0.05
"""Share of an image that void has as a border between objects; a larger one is an object of its own."""
BINARY = "masks-of-0-and-255"


@dataclass(frozen=True)
class Pair:
    """An image and its mask, as they were seen; mask, look and reading are None where there is none."""

    image_id: str
    path: Path
    image: ImageLook
    mask_path: Path | None = None
    mask: MaskLook | None = None
    reading: Reading | None = None

    def values(self) -> dict[int, int]:
        """Class id -> pixels of a mask that can be read."""
        return self.reading.values(self.mask) if self.reading is not None and self.mask is not None else {}


def pair_findings(pair: Pair, n_classes: int, drawn: Drawn | None) -> list[Finding]:
    """Findings of one image and its mask, those that refuse it first.

    Args:
        n_classes: values above it are no classes. drawn: see `wilss.data.mask_reading.lies_on`.
    """
    found = [*_of_image(pair), *_of_mask(pair, n_classes)]
    if not any(finding.severity == "refuse" for finding in found):
        found += [*_of_place(pair, drawn), *_of_contents(pair)]
    return sorted(found, key=lambda finding: finding.severity != "refuse")


def _of_image(pair: Pair) -> Iterator[Finding]:
    look = pair.image
    if look.problem:
        yield from_message("refuse", "unreadable", str(pair.path), look.problem)
    elif look.brightest is not None and look.brightest <= DARK:
        seen = f"is nearly black: its brightest value is {look.brightest} of 255, as where 12 bits are stored in 16"
        yield Finding("warn", "dark-image", str(pair.path), seen, "scale it to 8 or to all 16 bits, if it is too dark")


def _of_mask(pair: Pair, n_classes: int) -> Iterator[Finding]:
    if pair.mask_path is not None and pair.mask is not None and pair.reading is not None:
        yield from mask_findings(pair.mask_path, pair.mask, pair.reading, n_classes)


def mask_findings(path: Path, look: MaskLook, reading: Reading, n_classes: int) -> Iterator[Finding]:
    """Findings of a mask alone."""
    if look.problem:
        yield from_message("refuse", "unreadable-mask", str(path), look.problem)
    elif reading.problem:
        yield from_message("refuse", "mask-colours", str(path), reading.problem)
    elif wrong := [value for value in reading.values(look) if n_classes < value < VOID]:
        cure = f"allowed are 0 (background), 1 to {n_classes} (the classes in order) and {VOID} (void)"
        yield Finding("refuse", "mask-value", str(path), f"holds the value {min(wrong)}", cure)
    elif reading.note:
        yield Finding("note", "mask-colours", str(path), reading.note, "nothing has to be done")


def _of_place(pair: Pair, drawn: Drawn | None) -> Iterator[Finding]:
    if pair.mask is None:
        return
    look = pair.image
    turn, problem = lies_on(look.stored, look.size, look.orientation, pair.mask.size, drawn)
    if problem:
        seen, _, cure = problem.partition("; ")
        kind = "orientation" if look.orientation > 1 and "EXIF" in problem else "size"
        yield Finding("refuse", kind, str(pair.path), seen, cure)
    elif turn:
        seen = f"is turned by its EXIF orientation {look.orientation}, and its mask was drawn before; it is turned too"
        yield Finding("note", "orientation", str(pair.mask_path), seen, "nothing has to be done")


def _of_contents(pair: Pair) -> Iterator[Finding]:
    values = pair.values()
    place, pixels = str(pair.mask_path), sum(values.values())
    if set(values) == {VOID}:
        yield Finding("warn", "all-void", place, "is void everywhere", "draw what is known, or remove the mask")
    elif set(values) == {0, VOID} and values[VOID] > BORDER * pixels:
        cure = "if 255 is an object, write the number of its class instead (1 for the first)"
        yield Finding("warn", BINARY, place, "holds nothing but 0 and 255, and 255 is void", cure)
    for value, count in values.items():
        if 0 < value < VOID and count < FEW_PIXELS:
            seen = f"shows {count} pixel(s) of class {value}"
            yield Finding("note", "tiny-object", place, seen, "look whether it is meant")


def binary_masks(findings: Sequence[Finding], shown: int) -> list[Finding]:
    """Masks of 0 and 255 refuse a folder where most masks that show anything are such.

    Args:
        shown: masks that hold anything but background.
    """
    found = [finding for finding in findings if finding.kind == BINARY]
    if not found or 2 * len(found) < shown:
        return []
    seen = f"and {len(found)} of {shown} masks hold nothing but 0 and 255, and 255 is void: no class would be learnt"
    cure = "write the number of the class instead of 255 (1 for the first class of the benchmark)"
    return [Finding("refuse", BINARY, found[0].where, seen, cure)]
