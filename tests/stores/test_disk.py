"""A disk that is full, read-only or too small: one sentence, nothing half published, and the next try goes on."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from flows import cli
from flows.cli import app
from stores.artefacts import Recipe, Store
from stores.runs import write_run
from wilss.errors import StorageError
from wilss.layout import QUARANTINE
from wilss.outputs import disk_problem, require_room, whole_file
from wilss.state import read_state, write_state
from wilss.tensors import read_tensors

RECIPE = Recipe("banks", {"a": 1})
TENSORS = {"w": torch.zeros(1 << 18)}


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may have more than 100 kB, which the system tells as it tells of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def save_tensors(folder: Path) -> None:
    from safetensors.torch import save_file

    save_file(TENSORS, folder / "x.safetensors")


def in_store(write: Callable[[Path], object]) -> Callable[[Path], None]:
    def run(root: Path) -> None:
        store = Store(root)
        with store.build(RECIPE) as folder:
            write(folder)
            store.publish(RECIPE, folder, {})

    return run


WRITERS: dict[str, Callable[[Path], object]] = {
    "state": lambda folder: write_state(folder / "state.pt", TENSORS),
    "report": lambda folder: write_run(folder, {"report.json": "x" * 200_000}),
    "artefact": in_store(lambda folder: (folder / "x").write_bytes(bytes(200_000))),
    "weights": in_store(save_tensors),
    "file of a store": in_store(lambda folder: write_state(folder / "state.pt", TENSORS)),
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=list(WRITERS))
def test_a_disk_that_takes_no_more_is_told_and_the_next_try_goes_on(
    writer: Callable[[Path], object], tmp_path: Path, small_files: None
) -> None:
    with pytest.raises(StorageError, match=r"cannot be written \(File too large\); make room, and the same command"):
        writer(tmp_path)
    assert not list(tmp_path.rglob("*.partial"))
    assert not list(tmp_path.rglob("manifest.json"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    writer(tmp_path)


@pytest.mark.parametrize("writer", WRITERS.values(), ids=list(WRITERS))
def test_a_read_only_disk_is_told(writer: Callable[[Path], object], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not shutil.which("mount") or subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk]).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        with pytest.raises(
            StorageError, match=r"cannot be used \(Read-only file system\); change its rights, or choose"
        ):
            writer(disk)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_told_by_its_own_error(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not shutil.which("mount") or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "x", disk]).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        for writer in (WRITERS["state"], WRITERS["weights"]):
            with pytest.raises(StorageError, match="No space left on device"):
                writer(disk)
        with pytest.raises(StorageError, match=r"0\.. MB free, a run needs 16 MB to begin"):
            require_room(disk, 16_000_000)
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    "text",
    [
        "Error while serializing: I/O error: No space left on device (os error 28)",
        'Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "No space left on device" })',
    ],
)
def test_it_is_read_off_what_any_safetensors_says(tmp_path: Path, text: str) -> None:
    assert disk_problem(SafetensorError(text), tmp_path).startswith(f"'{tmp_path}' cannot be written (No space left")


def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(StorageError, match=r"x' is a folder where a file is to be written; move it away"):
        write_run(tmp_path, {"x": "text"})
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_folder_in_the_place_of_a_report_goes_to_quarantine(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "a"
    (run / "report.json" / "kept").mkdir(parents=True)
    write_run(run, {"report.json": "text"}, tmp_path)
    assert (run / "report.json").read_text() == "text"
    assert [path.name for path in (tmp_path / QUARANTINE / "reports").glob("a-report.json-*/*")] == ["kept"]


def test_other_errors_are_not_taken_for_the_disk(tmp_path: Path) -> None:
    assert disk_problem(OSError(errno.ENOENT, "none", "x")) == ""

    def fail() -> None:
        with whole_file(tmp_path / "x") as partial:
            partial.write_text("half")
            (tmp_path / "none" / "y").write_text("")

    with pytest.raises(FileNotFoundError) as caught:
        fail()
    assert not isinstance(caught.value, StorageError)
    assert not list(tmp_path.iterdir())


def test_the_command_line_says_it_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*given: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "x"))

    monkeypatch.setattr(app, "app", full)
    with pytest.raises(SystemExit, match="2"):
        cli.call()
    said = f"wilss: '{tmp_path / 'x'}' cannot be written (No space left on device); make room, and the same command"
    assert capsys.readouterr().err == f"{said} goes on\n"


def test_what_is_published_was_flushed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    real = os.fsync

    def watched(handle: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{handle}").resolve()))
        real(handle)

    if sys.platform != "linux":
        pytest.skip("open files have names in /proc on Linux only")
    monkeypatch.setattr(os, "fsync", watched)
    store = Store(tmp_path)
    with store.build(RECIPE) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "x").write_text("x")
        store.publish(RECIPE, folder, {})
    staging, target = str(folder), store.path("banks", RECIPE.digest)
    order = [flushed.index(f"{staging}{name}") for name in ("/inner/x", "/manifest.json.partial")]
    assert order == sorted(order)
    assert flushed[-1] == str(target.parent), "the rename itself"
    assert {staging, f"{staging}/inner"} <= set(flushed)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.tensor([1.0, float("nan")])}, tmp_path / "x.safetensors")
    with pytest.raises(RuntimeError, match="'w' holds numbers that are not finite"):
        read_tensors(tmp_path / "x.safetensors")


def test_a_kept_state_comes_back(tmp_path: Path) -> None:
    write_state(tmp_path / "state.pt", TENSORS)
    assert torch.equal(read_state(tmp_path / "state.pt")["w"], TENSORS["w"])
