"""Samples as WebDataset has them: files of shards that have one key, by what they are. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wilss.data.findings import Finding
from wilss.data.id_lists import bounded
from wilss.data.image_names import IMAGE_SUFFIXES, MASK_ENDINGS, composed
from wilss.data.index import MASK_SUFFIXES, FileIndex
from wilss.data.places.place import Layout

IMAGES = frozenset(suffix[1:] for suffix in IMAGE_SUFFIXES)
MASKS = frozenset(f"{word}{suffix}" for word in ("mask", "seg") for suffix in MASK_SUFFIXES)
TAGS = ("json", "cls", "txt")
"""Fields that may hold tags; the first that does counts."""
LINKS = "link or device in a tar"
NAMES = "a sample is KEY.jpg, and KEY.mask.png, KEY.cls or KEY.json beside it"


@dataclass(slots=True)
class Sample:
    """What has one key, by shard and name.

    tags: by field. twice: files whose field is among the tags already. dotted: images of a field that is not read.
    """

    images: list[Path] = field(default_factory=list)
    masks: list[Path] = field(default_factory=list)
    tags: dict[str, Path] = field(default_factory=dict)
    twice: list[Path] = field(default_factory=list)
    dotted: list[Path] = field(default_factory=list)

    @property
    def paths(self) -> list[Path]:
        """All its files that are read."""
        return [*self.images, *self.masks, *self.tags.values()]

    def add(self, kind: str, path: Path) -> None:
        """Take a file by its field, which is one that is read or that of an image."""
        if kind in IMAGES:
            self.images.append(path)
        elif kind in MASKS:
            self.masks.append(path)
        elif not is_read(kind):
            self.dotted.append(path)
        elif kind in self.tags:
            self.twice.append(path)
        else:
            self.tags[kind] = path


def key_of(name: str) -> tuple[str, str]:
    """Key and field of a file's name: what stands before and after the first dot, without folders; "" for none."""
    key, _, kind = composed(name).rpartition("/")[2].partition(".")
    return key, kind.lower()


def is_read(kind: str) -> bool:
    """Whether a field of a sample is an image, a mask, or may hold tags."""
    return kind in IMAGES or kind in MASKS or kind in TAGS


def is_dotted(kind: str) -> bool:
    """Whether a field that is not read ends as images do: another view of a sample, or an image with several dots."""
    return not is_read(kind) and kind.rpartition(".")[2] in IMAGES


def layout_of(root: Path, samples: Mapping[str, Sample], passed: Mapping[str, tuple[str, ...]]) -> Layout:
    """Samples as the images and masks of a folder, in the order that a folder of their images has.

    Args:
        passed: kind of what is passed over -> names.
    """
    found = [finding for key, sample in samples.items() for finding in _findings(key, sample, samples)]
    named = {key: sample.images[0] for key, sample in samples.items() if sample.images}
    images = dict(sorted(named.items(), key=lambda entry: composed(entry[1].name)))
    masks = {key: samples[key].masks[0] for key in images if samples[key].masks}
    return Layout(
        FileIndex(root, images, bounded(root, found), passed),
        FileIndex(root, masks),
        {key: tuple(tags[kind] for kind in TAGS if kind in tags) for key in images if (tags := samples[key].tags)},
        {key: path.parent for key, path in images.items()},
    )


def _findings(key: str, sample: Sample, samples: Mapping[str, Sample]) -> Iterator[Finding]:
    """What is wrong with a sample, or looks so."""
    if sample.dotted and not sample.images:
        seen = f"has several dots in its name, and a key ends at the first: there is no image '{key}.jpg'"
        yield Finding("refuse", "dots-in-a-name", str(sample.dotted[0]), seen, "write such names with one dot")
        return
    paths = sample.paths
    shards = list(dict.fromkeys(path.parent for path in paths))
    if len(shards) > 1:
        others = " and ".join(f"'{shard.name}'" for shard in shards[1:])
        seen = f"and {others} both have a sample '{key}'; folders in a tar are no part of a key"
        yield Finding("refuse", "one-key-in-two-shards", str(shards[0]), seen, "rename the files of one, or remove it")
        return
    again = [name for name, count in Counter(path.name for path in (*paths, *sample.twice)).items() if count > 1]
    if again:
        seen = f"holds '{again[0]}' twice, so that it is open which is meant"
        yield Finding("refuse", "twice-in-a-shard", str(shards[0]), seen, "write the tar again with one of them")
    elif not sample.images:
        yield Finding("refuse", "sample-without-image", str(paths[0]), f"has no image '{key}.jpg' beside it", NAMES)
    elif len(sample.images) > 1:
        others = " and ".join(f"'{path.name}'" for path in sample.images[1:])
        seen = f"and {others} are both images of one sample"
        cure = f"keep one; a mask is called {key}.mask.png"
        yield Finding("refuse", "several-images", str(sample.images[0]), seen, cure)
    elif len(sample.masks) > 1:
        others = " and ".join(f"'{path.name}'" for path in sample.masks[1:])
        yield Finding("refuse", "several-masks", str(sample.masks[0]), f"and {others} are both its mask", "keep one")
    elif (bare := _without_ending(key)) and bare in samples:
        seen = f"is taken for an image of its own, and is named like the mask of '{bare}'"
        yield Finding("warn", "named-like-a-mask", str(sample.images[0]), seen, f"call it {bare}.mask.png if it is one")


def _without_ending(key: str) -> str:
    """The key of an image whose mask a file seems to be, by its name."""
    return next((key[: -len(end)] for end in MASK_ENDINGS if key.lower().endswith(end)), "")
