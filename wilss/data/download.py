"""Fetching VOC 2012, SBD and COCO on a connected machine; every archive's checksum is verified."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from wilss._torchvision import make_torchvision_importable

import numpy as np
import torch
from scipy.io import loadmat

from wilss.data.files import read_mask
from wilss.data.voc import save_palette_png
from wilss.errors import DataError, DataNotFoundError
from wilss.outputs import writable_folder

Name = Literal["voc", "coco"]


@dataclass(frozen=True)
class Archive:
    """A file on the web and the MD5 sum that its publisher or torchvision states."""

    url: str
    md5: str


COCO_ARCHIVES = (
    Archive("http://images.cocodataset.org/zips/train2017.zip", "cced6f7f71b7629ddf16f17bbcfab6b2"),
    Archive("http://images.cocodataset.org/zips/val2017.zip", "442b8da7639aecaf257c1dceb8ba8c80"),
    Archive(
        "http://images.cocodataset.org/annotations/annotations_trainval2017.zip", "f4bbac642086de4f52a3fdda2de5fa2c"
    ),
)
SIZES = {"voc": "about 3.4 GB (VOC 2012 and SBD)", "coco": "about 20 GB (COCO 2017)"}


def download(name: Name, to: Path) -> Path:
    """Fetch a data set into ``to``; returns the folder for ``--data``. What is there already is not fetched again.

    Raises DataNotFoundError when the network cannot be used, DataError when a checksum is wrong.
    """
    writable_folder(to)
    return _voc(to) if name == "voc" else _coco(to, COCO_ARCHIVES)


def _voc(to: Path) -> Path:
    """VOC 2012 with the masks of SBD beside its own, as SegmentationClassAug and the list train_aug (10,582)."""
    make_torchvision_importable()
    from torchvision.datasets import SBDataset, VOCSegmentation

    root = to / "VOCdevkit" / "VOC2012"
    _once(to / ".voc.done", lambda: VOCSegmentation(str(to), year="2012", image_set="trainval", download=True))
    sbd = to / "sbd"
    if not (to / ".sbd.done").is_file():
        shutil.rmtree(sbd, ignore_errors=True)  # a download that broke off; torchvision cannot go on from it
    _once(to / ".sbd.done", lambda: SBDataset(str(sbd), image_set="train", mode="segmentation", download=True))
    add_sbd(root, to / "sbd")
    return root


def _coco(to: Path, archives: tuple[Archive, ...]) -> Path:
    make_torchvision_importable()
    from torchvision.datasets.utils import download_and_extract_archive

    for archive in archives:
        fetch = partial(download_and_extract_archive, archive.url, str(to), md5=archive.md5, remove_finished=True)
        _once(to / f".{Path(archive.url).name}.done", fetch)
    return to


def add_sbd(root: Path, sbd: Path) -> int:
    """Write ``SegmentationClassAug`` and ``train_aug.txt`` into a VOC folder; returns the number of training images.

    Training images: those of VOC's train list and SBD's two lists that are not in VOC's val list. VOC's own mask is
    taken where there is one.
    """
    lists = root / "ImageSets" / "Segmentation"
    val = set((lists / "val.txt").read_text().split())
    own = set((lists / "train.txt").read_text().split())
    extra = {i for name in ("train.txt", "val.txt") for i in (sbd / name).read_text().split()}
    folder = root / "SegmentationClassAug"
    staging = root / ".SegmentationClassAug.partial"
    if not folder.is_dir():
        staging.mkdir(exist_ok=True)
        for image_id in sorted(own | val):
            save_palette_png(read_mask(root / "SegmentationClass" / f"{image_id}.png"), staging / f"{image_id}.png")
        for image_id in sorted(extra - own - val):
            content: Any = loadmat(sbd / "cls" / f"{image_id}.mat", struct_as_record=True)
            mask = np.asarray(content["GTcls"][0, 0]["Segmentation"], dtype=np.uint8)
            save_palette_png(torch.from_numpy(mask), staging / f"{image_id}.png")
        staging.replace(folder)
    train = sorted((own | extra) - val)
    (lists / "train_aug.txt").write_text("".join(f"{i}\n" for i in train))
    return len(train)


def _once(done: Path, run: Callable[[], object]) -> None:
    """Run a download unless its marker says that it was finished before."""
    if done.is_file():
        return
    try:
        run()
    except OSError as error:  # URLError is one
        raise DataNotFoundError(
            f"the download failed ({error}); connect this machine, or fetch the archives elsewhere and unpack them here"
        ) from error
    except RuntimeError as error:  # torchvision: wrong checksum
        raise DataError(f"the download is not what its publisher made ({error}); remove it and try again") from error
    done.touch()
