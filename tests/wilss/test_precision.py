"""What "auto" means on a processor: bf16 only where it has instructions for it."""

from __future__ import annotations

import pytest
import torch

import wilss.precision as precision

CPU = torch.device("cpu")


class Onednn:
    """PyTorch's answer: True on all AVX-512."""

    def __init__(self, says: bool) -> None:
        self.says = says

    def _is_mkldnn_bf16_supported(self) -> bool:
        return self.says


@pytest.mark.parametrize(
    ("onednn", "machine", "avx", "amx", "expected"),
    [
        (True, "x86_64", False, False, "fp32"),  # AVX-512 that emulates it
        (True, "AMD64", False, False, "fp32"),
        (True, "x86_64", True, False, "bf16"),
        (True, "x86_64", False, True, "bf16"),
        (True, "aarch64", False, False, "bf16"),
        (False, "x86_64", True, True, "fp32"),
        (False, "aarch64", False, False, "fp32"),
    ],
)
def test_auto_takes_bf16_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, onednn: bool, machine: str, avx: bool, amx: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", Onednn(onednn))
    monkeypatch.setattr(precision, "machine", lambda: machine)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert precision.resolved("auto", CPU) == expected
    assert precision.resolved("bf16", CPU) == "bf16", "who asks for it gets it"
    with precision.autocast("auto", CPU):
        assert torch.is_autocast_enabled("cpu") == (expected == "bf16")
