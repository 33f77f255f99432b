"""A folder to practise with, drawn by the built-in world as if they were photographs: see the tutorial.

    python examples/practice_folder.py mine

writes mine/ (images, labels.csv, masks of what step 0 learns and of what is scored, eval.txt) and mine.yaml beside it.
"""

import argparse
from pathlib import Path

from torch import Tensor

from wilss.data.scenes.outlines import CLASSES
from wilss.data.scenes.source import ScenesSource
from wilss.data.spec import World
from wilss.data.voc import save_palette_png
from wilss.report.pictures import to_pil

BASE, NEW = ("bottle", "fish", "mug"), ("star", "tree")
BENCHMARK = f"""name: mine
data: folder
steps:
  - [{", ".join(BASE)}]    # step 0: learnt from masks
  - [{", ".join(NEW)}]            # step 1: learnt from tags
"""


def own_numbers(mask: Tensor) -> Tensor:
    """A mask of the world, uint8 ``(H, W)``, with the classes of the benchmark as 1, 2, ...; all else is background."""
    ours = mask.new_zeros(mask.shape)
    for number, name in enumerate((*BASE, *NEW), start=1):
        ours[mask == 1 + CLASSES.index(name)] = number
    ours[mask == 255] = 255
    return ours


class Folder:
    """What is written so far."""

    def __init__(self, root: Path, source: ScenesSource) -> None:
        self.root, self.source = root, source
        self.rows, self.scored = ["image,labels"], list[str]()
        for name in ("images", "masks"):
            (root / name).mkdir(parents=True)

    def add(self, image_id: str, tags: list[str], masked: bool, scored: bool) -> None:
        to_pil(self.source.image(image_id)).save(self.root / "images" / f"{image_id}.png")
        self.rows.append(f"{image_id}.png,{';'.join(tags)}")
        if masked:
            save_palette_png(own_numbers(self.source.mask(image_id)), self.root / "masks" / f"{image_id}.png")
        self.scored += [image_id] if scored else []

    def finish(self) -> None:
        (self.root / "labels.csv").write_text("\n".join(self.rows) + "\n")
        (self.root / "eval.txt").write_text("\n".join(self.scored) + "\n")


def write(root: Path, count: int, size: int) -> None:
    """``count`` images for each step, half as many to score on."""
    folder = Folder(root, ScenesSource(World(image_size=size), 20 * count, 0))
    left = {"base": count, "new": count, "scored": count // 2}
    for image_id, ids in zip(folder.source.ids("train"), folder.source.tags("train"), strict=True):
        tags = [CLASSES[c - 1] for c in ids if CLASSES[c - 1] in (*BASE, *NEW)]
        new = bool(set(tags) & set(NEW))
        use = next((use for use in ("scored", "new" if new else "base") if tags and left[use]), None)
        if use:
            left[use] -= 1
            folder.add(image_id, tags, masked=use != "new", scored=use == "scored")
    if any(left.values()):
        raise SystemExit(f"the world drew too few such images: {left} are missing; ask for fewer with --images")
    folder.finish()
    root.with_suffix(".yaml").write_text(BENCHMARK)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="that does not exist yet")
    parser.add_argument("--images", type=int, default=80, help="of each step")
    parser.add_argument("--size", type=int, default=96, help="of an image, pixels")
    given = parser.parse_args()
    if given.folder.exists():
        raise SystemExit(f"'{given.folder}' is there already; name a folder that does not exist yet")
    write(given.folder, given.images, given.size)
    print(f"images and masks: {given.folder}; what is learnt when: {given.folder.with_suffix('.yaml')}")


if __name__ == "__main__":
    main()
