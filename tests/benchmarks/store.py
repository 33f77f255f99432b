"""What a label set costs beside one palette PNG an image: ``python -m tests.benchmarks.store``.

2,000 real masks at 512 px (those of a VOC folder, repeated where it has fewer), 128 images a shard, one run, one thread
of ours. Both sides hold the same pixels of the same classes and give masks that are unpacked: the PNG one label map,
the label set one mask for each class. Pillow writes and reads with its defaults, and neither side is flushed: the
label set as it is published is flushed to the disk, which is timed apart. zarr and, where it is installed, zarrs
read the same files.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import stores.labels.shards as shards
from stores.labels.index import LabelIndex
from stores.labels.sets import LabelSet
from stores.labels.writer import LabelWriter, ShardRows
from tests.benchmarks import last_line
from wilss.data.palette import palette
from wilss.measure.columns import COLUMNS

CANVAS = 512
READS = 400
Mask = NDArray[np.uint8]


def real_masks(voc: Path, count: int) -> list[Mask]:
    """Label maps of a VOC folder whose longer side is 512, void as background, repeated up to ``count``."""
    folder = next(voc / name for name in ("SegmentationClassAug", "SegmentationClass") if (voc / name).is_dir())
    paths = sorted(folder.glob("*.png"))[:count]
    found = []
    for path in paths:
        image = Image.open(path)
        scale = CANVAS / max(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        mask = np.array(image.resize(size, Image.Resampling.NEAREST))
        found.append(np.where(mask == 255, 0, mask).astype(np.uint8))
    return [found[k % len(found)] for k in range(count)]


def index_of(masks: list[Mask]) -> LabelIndex:
    """The label set of these masks, each tagged with what it shows."""
    tags = np.stack([np.bincount(mask.ravel(), minlength=21)[1:21] > 0 for mask in masks])
    ids = tuple(f"{k:06d}" for k in range(len(masks)))
    return LabelIndex(ids, tuple(f"class {k}" for k in range(1, 21)), tags, CANVAS, (64, 64), ("final",))


def write_pngs(masks: list[Mask], folder: Path) -> None:
    colours = palette()
    for number, mask in enumerate(masks):
        image = Image.fromarray(mask)
        image.putpalette(colours)
        image.save(folder / f"{number:06d}.png")


def write_set(masks: list[Mask], index: LabelIndex, folder: Path) -> None:
    writer = LabelWriter.begin(folder, index)
    for shard in range(index.n_shards):
        images, count = index.images(shard), len(index.rows(shard))
        packed, row = np.zeros((count, CANVAS, index.width), np.uint8), 0
        for image in images:
            mask = masks[image]
            for channel in index.tags[image].nonzero()[0]:
                bits = np.packbits(mask == channel + 1, axis=-1)
                packed[row, : bits.shape[0], : bits.shape[1]] = bits
                row += 1
        sizes = np.array([[*masks[image].shape] * 2 for image in images], np.uint32)
        quality = np.zeros((count, len(COLUMNS)), np.float32)
        writer.write(shard, ShardRows({"final": packed}, None, quality, sizes, np.zeros_like(sizes)))


@contextmanager
def unflushed() -> Iterator[None]:
    """Files are written as Pillow writes them: nobody waits for the disk."""
    kept = os.fsync
    os.fsync = lambda handle: None
    try:
        yield
    finally:
        os.fsync = kept


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def read_png(path: Path) -> Mask:
    return np.array(Image.open(path))


def read_shards(labels: LabelSet) -> int:
    """Every mask of every shard, unpacked."""
    seen = 0
    for shard in range(labels.index.n_shards):
        for coded in labels.stored.coded("final", shard):
            bits = np.zeros((CANVAS, labels.index.width), np.uint8)
            shards.decode_chunk(coded, bits)
            seen += len(np.unpackbits(bits, axis=-1))
    return seen


def zarr_pipeline(path: str, folder: Path, index: LabelIndex, reads: list[int]) -> dict[str, Any]:
    """Seconds of zarr's own reading under a codec pipeline, and a digest of what it read."""
    import zarr

    with zarr.config.set({"codec_pipeline.path": path}):
        array: Any = zarr.open_array(folder / "labels.zarr/final", mode="r", zarr_format=3)
        digest, room = hashlib.sha256(), index.shard_rows

        def whole() -> None:
            for shard in range(index.n_shards):
                digest.update(
                    np.ascontiguousarray(array[shard * room : shard * room + len(index.rows(shard))]).tobytes()
                )

        def some() -> None:
            for image in reads:
                shard = image // index.shard_images
                first = shard * room - index.rows(shard).start
                np.unpackbits(array[int(index.starts[image]) + first : int(index.starts[image + 1]) + first], axis=-1)

        return {"shards_s": seconds(whole), "random_s": seconds(some), "sha256": digest.hexdigest()[:16]}


def measure(voc: Path, count: int) -> dict[str, object]:
    """Ratios to the PNGs, larger is better but for bytes."""
    import zarr  # noqa: F401  # is not what is measured

    masks = real_masks(voc, count)
    index, reads = index_of(masks), np.random.default_rng(0).integers(0, count, READS).tolist()
    with tempfile.TemporaryDirectory() as name:
        pngs, folder, flushed = (Path(name) / part for part in ("png", "set", "flushed"))
        pngs.mkdir()
        png = {"write": seconds(lambda: write_pngs(masks, pngs))}
        with unflushed():
            own = {"write": seconds(lambda: write_set(masks, index, folder))}
        own["write and flush"] = seconds(lambda: write_set(masks, index, flushed))
        labels, paths = LabelSet.open(folder), sorted(pngs.iterdir())
        png["random"] = seconds(lambda: [read_png(paths[k]) for k in reads])
        own["random"] = seconds(lambda: [labels.image_masks("final", k) for k in reads])
        png["shards"] = seconds(lambda: [read_png(path) for path in paths])
        own["shards"] = seconds(lambda: read_shards(labels))
        check(labels, masks, reads)
        sizes = [sum(path.stat().st_size for path in where.rglob("*") if path.is_file()) for where in (pngs, folder)]
        pipelines = {"zarr": zarr_pipeline("zarr.core.codec_pipeline.BatchedCodecPipeline", folder, index, reads)}
        if _has_zarrs():
            pipelines["zarrs"] = zarr_pipeline("zarrs.ZarrsCodecPipeline", folder, index, reads)
        own_digest = hashlib.sha256(b"".join(_packed(labels, s) for s in range(index.n_shards))).hexdigest()[:16]
    assert {one["sha256"] for one in pipelines.values()} == {own_digest}, "all read the same bytes"
    _print(png, own, pipelines, sizes, count)
    return {
        "bytes_ratio": sizes[1] / sizes[0],
        **{f"{what}_ratio": png[what] / own[what] for what in ("write", "random", "shards")},
        "write_and_flush_ratio": png["write"] / own["write and flush"],
        "reference": "one palette PNG an image",
        "images": count,
        "rows": index.n_rows,
        "pipelines": pipelines,
    }


def check(labels: LabelSet, masks: list[Mask], reads: list[int]) -> None:
    """What is read is what was written."""
    for image in reads[:50]:
        mask = masks[image]
        wanted = np.stack([mask == c + 1 for c in labels.index.tags[image].nonzero()[0]] or [mask[:0]])
        assert np.array_equal(labels.image_masks("final", image), wanted)


def _packed(labels: LabelSet, shard: int) -> bytes:
    images = labels.index.images(shard)
    return labels.packed("final", images.start, images.stop).tobytes()


def _has_zarrs() -> bool:
    try:
        import zarrs  # noqa: F401
    except ImportError:
        return False
    return True


def _print(png: dict[str, float], own: dict[str, float], pipelines: Any, sizes: list[int], count: int) -> None:
    of = {"write": count, "write and flush": count, "shards": count, "random": READS}
    print(f"{'ms an image':<18} {'PNG':>8} {'label set':>10} {'ratio':>7}")
    for what, images in of.items():
        first = png.get(what, png["write"])
        print(f"{what:<18} {1000 * first / images:8.3f} {1000 * own[what] / images:10.3f} {first / own[what]:7.2f}")
    print(f"{'bytes':<18} {sizes[0] / count:8.0f} {sizes[1] / count:10.0f} {sizes[1] / sizes[0]:7.2f}")
    for name, found in pipelines.items():
        told = (
            f"shards {1000 * found['shards_s'] / count:.3f}, random {1000 * found['random_s'] / READS:.3f} ms an image"
        )
        print(f"{name + ', same files':<18} {told}")


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    data = Path(os.environ.get("WILSS_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--voc", type=Path, default=data / "voc2012", help="VOC folder whose masks are stored")
    parser.add_argument("--count", type=int, default=2000)
    options = parser.parse_args()
    last_line("store", measure(options.voc, options.count))


if __name__ == "__main__":
    main()
