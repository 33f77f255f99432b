"""Mixed precision: bf16 where it is asked for or where the hardware computes in it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from platform import machine

import torch

from wilss.section import Precision

X86 = ("x86_64", "AMD64")
"""Names that platforms give to it."""


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """bf16 autocast for "bf16", and for "auto" where the hardware computes in bf16; else no-op."""
    wanted = precision == "bf16" or (precision == "auto" and has_bf16(device))
    # a type that is not wanted is not named: macOS before 14 warns of it, and torch 2.8 asks a GPU that is not there
    return torch.autocast(device.type, dtype=torch.bfloat16 if wanted else None, enabled=wanted)


def require_full_fp32() -> None:
    """Let fp32 be fp32 in CUDA's convolutions too: by default they take TF32, with 10 bits of mantissa."""
    torch.backends.cudnn.allow_tf32 = False


def resolved(precision: Precision, device: torch.device) -> Precision:
    """What "auto" means on this device, for digests: results differ between bf16 and fp32."""
    if precision != "auto":
        return precision
    return "bf16" if has_bf16(device) else "fp32"


def has_bf16(device: torch.device) -> bool:
    """Whether bf16 is computed natively on this device; on Apple's GPU "auto" stays with fp32."""
    if device.type == "cuda":
        with torch.cuda.device(device):  # it asks the current one
            return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and _cpu_has_bf16()


def _cpu_has_bf16() -> bool:
    """Whether this processor has instructions for it.

    PyTorch says so of all AVX-512, which without them emulates bf16: three times as slow as fp32.
    """
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    return machine() not in X86 or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
