"""A data set of one's own: photographs in a folder for each class, and masks for those that step 0 learns from.

DIR/sheep/a.jpg  DIR/cow/b.jpg  DIR/masks/sheep/a.png (0 background, k the k-th class of the benchmark, 255 void)

wilss run examples/own_source.yaml --data DIR
"""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

import wilss
from wilss.data.files import read_mask, read_rgb
from wilss.data.source import Split
from wilss.digest import digest_of, file_digest


class ClassFolders:
    """See `wilss.Source`, which says what each member is for."""

    further_eval: dict[str, tuple[str, ...]] = {}  # noqa: RUF012
    skipped = 0

    def __init__(self, root: Path, classes: tuple[str, ...]) -> None:
        self.root, self.classes = root, classes
        self.prompts = {name: (name,) for name in classes}  # words for the scorer
        found = [path for name in classes for path in sorted((root / name).glob("*.jpg"))]
        self.all_ids = [path.relative_to(root).with_suffix("").as_posix() for path in found]

    @property
    def fingerprint(self) -> str:
        return self.fingerprint_of(self.all_ids, ())

    def fingerprint_of(self, ids: Sequence[str], classes: Sequence[int]) -> str:
        files = {i: [file_digest(path) for path in self.paths(i) if path.is_file()] for i in ids}
        return digest_of([self.classes, files])

    def ids(self, split: Split) -> tuple[str, ...]:
        masked = [image_id for image_id in self.all_ids if self.has_mask(image_id)]
        scored = dict.fromkeys(masked[::4])  # every fourth one with a mask
        return tuple(scored if split == "eval" else (i for i in self.all_ids if i not in scored))

    def tags(self, split: Split) -> tuple[tuple[int, ...], ...]:
        return tuple((1 + self.classes.index(image_id.split("/")[0]),) for image_id in self.ids(split))

    def paths(self, image_id: str) -> tuple[Path, Path]:
        return self.root / f"{image_id}.jpg", self.root / "masks" / f"{image_id}.png"

    def image(self, image_id: str) -> Tensor:
        return read_rgb(self.paths(image_id)[0])

    def has_mask(self, image_id: str) -> bool:
        return self.paths(image_id)[1].is_file()

    def mask(self, image_id: str) -> Tensor:
        return read_mask(self.paths(image_id)[1])

    def check(self) -> None:
        """Look at every file before anything is computed: the first that is damaged is named."""
        for image_id in self.all_ids:
            self.image(image_id)


def open_folders(data, settings, base, custom):  # type: ignore[no-untyped-def]
    """What a run calls: the classes are those of its benchmark."""
    return ClassFolders(settings.data, custom.classes)


needs = {"data": "the folder that holds a folder for each class"}
wilss.register_family(wilss.Family("class-folders", open_folders, preset="small", needs=needs))
