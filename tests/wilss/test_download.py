"""Fetching data: checksums, no network, and joining SBD's masks to VOC's. The network here is this machine's own."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

from wilss._torchvision import make_torchvision_importable

import numpy as np
import pytest
import torch
from scipy.io import savemat

from wilss.data.download import COCO_ARCHIVES, Archive, _coco, add_sbd, download
from wilss.data.files import read_mask
from wilss.data.voc import save_palette_png
from wilss.errors import DataError, DataNotFoundError


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Address and MD5 of a small archive on a loopback server."""
    folder = tmp_path / "served"
    folder.mkdir()
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr("val2017/a.txt", "hello")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    digest = hashlib.md5((folder / "x.zip").read_bytes()).hexdigest()
    yield f"http://127.0.0.1:{server.server_address[1]}/x.zip", digest
    server.shutdown()
    server.server_close()


def test_an_archive_is_fetched_checked_and_unpacked_once(served: tuple[str, str], tmp_path: Path) -> None:
    url, digest = served
    (tmp_path / "to").mkdir()
    _coco(tmp_path / "to", (Archive(url, digest),))
    assert (tmp_path / "to" / "val2017" / "a.txt").read_text() == "hello"
    _coco(tmp_path / "to", (Archive("http://127.0.0.1:9/x.zip", digest),))  # done before: not fetched again


def test_a_wrong_checksum_is_refused(served: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not what its publisher made"):
        _coco(tmp_path, (Archive(served[0], "0" * 32),))
    assert not (tmp_path / "val2017").exists()


def test_without_a_network_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"the download failed .* connect this machine"):
        _coco(tmp_path, (Archive("http://127.0.0.1:9/x.zip", "0" * 32),))
    assert all(len(archive.md5) == 32 for archive in COCO_ARCHIVES)


def test_voc_goes_on_after_a_download_that_broke_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_torchvision_importable()
    import torchvision.datasets

    asked: list[str] = []

    def voc(root: str, **options: object) -> None:
        assert options == {"year": "2012", "image_set": "trainval", "download": True}
        asked.append("voc")
        voc_and_sbd(Path(root) / "VOCdevkit" / "VOC2012", tmp_path / "ready")

    def sbd(root: str, **options: object) -> None:
        assert options == {"image_set": "train", "mode": "segmentation", "download": True}
        asked.append("sbd")
        assert not Path(root).exists()  # torchvision refuses a folder that is there
        if len(asked) == 2:
            Path(root).mkdir()
            raise OSError("the line went dead")
        (tmp_path / "ready").rename(root)

    monkeypatch.setattr(torchvision.datasets, "VOCSegmentation", voc)
    monkeypatch.setattr(torchvision.datasets, "SBDataset", sbd)
    with pytest.raises(DataNotFoundError, match="the line went dead"):
        download("voc", tmp_path / "to")
    root = download("voc", tmp_path / "to")
    assert root == tmp_path / "to" / "VOCdevkit" / "VOC2012"
    assert (root / "ImageSets" / "Segmentation" / "train_aug.txt").read_text().split() == ["s1", "s2", "t1"]
    assert asked == ["voc", "sbd", "sbd"]
    assert download("voc", tmp_path / "to") == root
    assert asked == ["voc", "sbd", "sbd"]


def voc_and_sbd(root: Path, sbd: Path) -> None:
    """Folders as the archives leave them, of five images."""
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (root / "SegmentationClass").mkdir()
    (sbd / "cls").mkdir(parents=True)
    (lists / "train.txt").write_text("t1\n")
    (lists / "val.txt").write_text("v1\n")
    (sbd / "train.txt").write_text("t1\ns1\n")
    (sbd / "val.txt").write_text("v1\ns2\n")
    for name, value in (("t1", 3), ("v1", 4)):
        save_palette_png(torch.full((4, 5), value, dtype=torch.uint8), root / "SegmentationClass" / f"{name}.png")
    for name, value in (("t1", 9), ("s1", 7), ("s2", 8), ("v1", 9)):
        segmentation = np.full((4, 5), value, np.uint8)
        savemat(sbd / "cls" / f"{name}.mat", {"GTcls": {"Segmentation": segmentation}})


def test_sbd_joins_voc_without_its_val_images(tmp_path: Path) -> None:
    root, sbd = tmp_path / "VOC2012", tmp_path / "sbd"
    voc_and_sbd(root, sbd)
    assert add_sbd(root, sbd) == 3
    lists = root / "ImageSets" / "Segmentation"
    assert (lists / "train_aug.txt").read_text().split() == ["s1", "s2", "t1"]
    values = {p.stem: int(read_mask(p)[0, 0]) for p in (root / "SegmentationClassAug").glob("*.png")}
    assert values == {"t1": 3, "v1": 4, "s1": 7, "s2": 8}  # VOC's own mask where there is one
    assert add_sbd(root, sbd) == 3
