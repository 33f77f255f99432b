"""Mixed precision: bf16 where it is asked for or where the hardware computes in it."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from wilss.section import Precision


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """bf16 autocast for "bf16", and for "auto" where the hardware computes in bf16; else no-op."""
    wanted = precision == "bf16" or (precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


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
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
