"""Which device a name is."""

from __future__ import annotations

import pytest
import torch

from wilss.device import double, memory_advice, require_device, resolve_device
from wilss.errors import SpecError
from wilss.precision import autocast, resolved


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted"),
    [(True, False, "cuda"), (False, True, "mps"), (False, False, "cpu"), (True, True, "cuda")],
)
def test_auto_takes_the_best_that_is_there(cuda: bool, mps: bool, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto") == torch.device(wanted)


def test_a_device_that_is_not_there_is_named_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("mps").type == "mps"
    for name in ("cuda", "cuda:0", "gpu", ""):
        with pytest.raises(SpecError, match=f"device '{name}' is not available here; use cpu or mps"):
            resolve_device(name)


def test_only_devices_that_are_there_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    for name in ("cpu", "cuda", "cuda:0"):
        assert str(require_device(name)) == name
    assert torch.backends.cudnn.allow_tf32 is False
    for name in ("cuda:1", "cudax", "gpu"):
        with pytest.raises(SpecError, match=f"'{name}' is not available here; use cpu or cuda"):
            require_device(name)


def test_apples_gpu_computes_in_fp32_and_its_advice_is_the_same() -> None:
    assert resolved("auto", torch.device("mps")) == "fp32"
    with autocast("auto", torch.device("mps")):
        assert not torch.is_autocast_enabled("mps")
    assert "--device cpu" in str(memory_advice(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)")))
    assert memory_advice(RuntimeError("shapes differ")) is None


def test_float64_stays_where_it_can_be() -> None:
    assert double(torch.ones(2)).dtype == torch.float64
    assert double(torch.ones(2, device="meta")).device.type == "meta"
