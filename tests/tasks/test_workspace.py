"""What is checked before any task computes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from flows.environment import prepare_prefect
from tasks.fewshot_start import _require_lists
from tasks.workspace import require_device
from wilss.errors import SpecError
from wilss.fewshot.spec import make_fewshot_spec
from wilss.protocol import benchmarks


def test_only_devices_that_are_there_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    for name in ("cpu", "cuda", "cuda:0"):
        require_device(name)
    assert torch.backends.cudnn.allow_tf32 is False
    for name in ("cuda:1", "cudax", "gpu"):
        with pytest.raises(SpecError, match=f"'{name}' is not available here; use cpu or cuda"):
            require_device(name)


def test_a_root_that_is_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "root").touch()
    with pytest.raises(SpecError, match=r"root/prefect' cannot be written to \(Not a directory\)"):
        prepare_prefect(tmp_path / "root")


def test_backbones_of_unfiltered_lists_are_refused_where_later_classes_are_hidden() -> None:
    given = {"benchmark": "coco-20i", "fold": 0, "preset": "tiny"}
    unfiltered = make_fewshot_spec({**given, "lists": "unfiltered"})
    hiding, showing = benchmarks()["coco-to-voc"], benchmarks()["voc-15-5"]
    with pytest.raises(SpecError, match=r"coco-to-voc hides images with later classes"):
        _require_lists(unfiltered, "head", "overlap", hiding)
    _require_lists(unfiltered, "head", "overlap", showing)
    _require_lists(make_fewshot_spec(given), "head", "overlap", hiding)
