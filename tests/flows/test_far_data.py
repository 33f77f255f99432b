"""A benchmark of one's own over shards and buckets: the same images, masks and tags make the same artefacts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import Store
from tests.commands import Wilss
from tests.flows.test_own_data import OPTIONS, benchmark_file, own_folder
from tests.s3 import KEY, SECRET, Bucket
from tests.wilss.sharded import shards_of, write_tar
from wilss.models.card import StudentCard, load_card

pytestmark = pytest.mark.usefixtures("prefect_backend")


def contents(root: Path, digest: str) -> dict[str, bytes]:
    """Files of a label set, but its manifest, which tells times and folders."""
    folder = Store(root).path("labels", digest)
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def model(root: Path, digest: str) -> tuple[bytes, list[dict[str, float]]]:
    """A student's weights, and its losses."""
    folder = Store(root).path("checkpoints", digest)
    return (folder / "model.safetensors").read_bytes(), load_card(folder, StudentCard).history


def finished(root: Path) -> dict[str, Any]:
    """The report of the one run."""
    (path,) = (root / "runs").glob("mine-*/report.json")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


def upload(folder: Path, s3: Bucket, prefix: str) -> str:
    """The folder's address, where it lies now."""
    for path in folder.rglob("*"):
        if path.is_file():
            s3.write(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return s3.address(prefix)


@pytest.mark.slow
def test_a_folder_and_its_shards_give_the_same_artefacts(wilss: Wilss, tmp_path: Path) -> None:
    folder, file = own_folder(tmp_path / "folder", masks=True), benchmark_file(tmp_path)
    shards = shards_of(folder, tmp_path / "shards", 5, "json")
    code, out, err = wilss("data", "check", shards, "--benchmark", file, "--root", tmp_path / "b")
    assert code == 0, out + err
    assert "images     120" in out
    for data, root in ((folder, tmp_path / "a"), (shards, tmp_path / "b")):
        code, _, err = wilss("run", file, "--data", data, *OPTIONS, "--root", root)
        assert code == 0, err
    both = [(root, finished(root)) for root in (tmp_path / "a", tmp_path / "b")]
    plain, packed = both[0][1], both[1][1]
    assert packed["artefacts"] == plain["artefacts"]
    for step in range(2):
        students = [model(root, report["artefacts"][f"checkpoint {step}"]) for root, report in both]
        assert students[0] == students[1]
    assert packed["metrics"] == plain["metrics"]
    digest = plain["artefacts"]["labels 1"]
    assert contents(tmp_path / "b", digest) == contents(tmp_path / "a", digest)
    code, out, _ = wilss("protocol", file, "--data", shards)
    assert out == wilss("protocol", file, "--data", folder)[1]


@pytest.mark.slow
def test_data_in_a_bucket_give_the_same_artefacts_through_a_bad_network(
    wilss: Wilss, s3: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, file = own_folder(tmp_path / "folder", masks=True), benchmark_file(tmp_path)
    code, _, err = wilss("run", file, "--data", folder, *OPTIONS, "--root", tmp_path / "near")
    assert code == 0, err
    s3.network.faults = 0.05
    said = []
    for name in ("plain", "shards"):
        data = upload(folder if name == "plain" else shards_of(folder, tmp_path / "shards", 3, "cls"), s3, name)
        monkeypatch.setenv("WILSS_CACHE", str(tmp_path / "cache" / name))
        code, out, err = wilss("data", "check", data, "--benchmark", file, "--root", tmp_path / name)
        assert code == 0, out + err
        assert wilss("data", "check", data, "--benchmark", file, "--root", tmp_path / name)[1] == out
        monkeypatch.setenv("WILSS_CACHE_SIZE", "60KB")  # less than there is
        code, run_out, err = wilss("run", file, "--data", data, *OPTIONS, "--root", tmp_path / name)
        assert code == 0, err
        monkeypatch.delenv("WILSS_CACHE_SIZE")
        near, far = finished(tmp_path / "near"), finished(tmp_path / name)
        assert far["artefacts"] == near["artefacts"]
        assert far["metrics"] == near["metrics"]
        assert far["sources"] == {"data": data}
        digest = near["artefacts"]["labels 1"]
        assert contents(tmp_path / name, digest) == contents(tmp_path / "near", digest)
        weights = [model(tmp_path / at, near["artefacts"]["checkpoint 1"]) for at in ("near", name)]
        assert weights[0] == weights[1]
        code, sheet, err = wilss("labels", "show", digest[:12], "--root", tmp_path / name, "-o", tmp_path / "sheet.png")
        assert code == 0, err
        said += [out, run_out, err, sheet]
    assert s3.network.hurt > 3
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for content in ("".join(said).encode(), *files):
        assert SECRET.encode() not in content
        assert KEY.encode() not in content


@pytest.mark.slow
def test_two_devices_learn_from_shards_in_a_bucket_what_one_learns_from_a_disk(
    wilss: Wilss, s3: Bucket, tmp_path: Path
) -> None:
    file = benchmark_file(tmp_path)
    near = shards_of(own_folder(tmp_path / "folder", masks=True), tmp_path / "shards", 4, "json")
    words = ("step", file, "--step", 0, *OPTIONS, "data.shuffle_buffer=20", "base.epochs=2", "--device", "cpu")
    s3.network.faults = 0.05
    students = []
    for name, data, devices in (("one", near, 1), ("two", upload(near, s3, "pets"), 2)):
        code, _, err = wilss(*words, "--data", data, "--devices", devices, "--root", tmp_path / name)
        assert code == 0, err
        (folder,) = (tmp_path / name / "checkpoints").glob("??/*")
        students.append((folder.name, load_card(folder, StudentCard).history))
    assert students[0][0] == students[1][0]
    for one, two in zip(students[0][1], students[1][1], strict=True):
        assert two == pytest.approx(one, rel=1e-3)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (
            "s3://no-such-bucket-here/x",
            "there is no bucket 'no-such-bucket-here'; make it, or name another with --data",
        ),
        ("s3://{}/none", "/none' holds nothing; see that bucket and prefix are those of the data"),
        ("s3://{}/denied", "lets nobody with these credentials list 's3://"),
        ("gs://pets/x", "'gs://pets/x' is no data folder; a data folder is a folder or s3://BUCKET/PREFIX"),
        ("s3://me:s3cr3tw0rd@pets/x", "the address of a data folder holds a user, a password or options"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_bad_addresses_are_one_sentence(
    wilss: Wilss, s3: Bucket, tmp_path: Path, data: str, why: str, command: str
) -> None:
    if "denied" in data:
        s3.network.refused = ("GET",)
    words = ("data", "check", "--benchmark") if command == "check" else ("run",)
    given = ("--data",) if command == "run" else ()
    file = benchmark_file(tmp_path)
    code, out, err = wilss(*words, file, *given, data.format(s3.name), "--root", tmp_path / "root")
    assert code == 2
    assert why in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err.split("wilss:")[-1]
    for secret in ("s3cr3tw0rd", KEY, SECRET):
        assert secret not in out + err


@pytest.mark.slow
def test_an_object_that_vanishes_during_a_run_ends_it_in_one_sentence(
    wilss: Wilss, s3: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data, root = upload(own_folder(tmp_path / "folder", masks=True), s3, "pets"), tmp_path / "root"
    monkeypatch.setenv("WILSS_CACHE_SIZE", "1KB")  # nothing stays

    def lose(said: str) -> None:
        if "train-000100.png" in said:
            s3.remove("pets/images/train-000050.png")

    s3.network.on_request = lose
    code, _, err = wilss("run", benchmark_file(tmp_path), "--data", data, *OPTIONS, "--root", root)
    assert code == 2
    assert "pets/images/train-000050.png' has changed or is gone since the bucket was listed; start again" in err
    assert "Traceback" not in err.split("wilss:")[-1]


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_shard_that_is_cut_is_told_in_one_sentence(wilss: Wilss, tmp_path: Path, command: str) -> None:
    shard = write_tar(tmp_path / "shards" / "one.tar", {"a.jpg": bytes(5000), "a.cls": b"car"})
    shard.write_bytes(shard.read_bytes()[:4000])
    file, root = benchmark_file(tmp_path), ["--root", tmp_path / "root"]
    words = ["data", "check", shard.parent, "--benchmark", file] if command == "check" else ["run", file, "--data"]
    code, out, err = wilss(*words, *([] if command == "check" else [shard.parent]), *root)
    assert code == 2
    assert "one.tar' is cut short" in " ".join((out + err).split())
    assert "Traceback" not in err.split("wilss:")[-1]
