"""The flow that trains the small foundation models of the built-in world."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from prefect import flow

from tasks.pretrain import pretrain_model
from wilss.layout import default_root


@flow(name="pretrain", persist_result=False)
def run_pretraining(
    model: Literal["clip", "dino"],
    training: dict[str, Any] | None = None,
    root: Path | None = None,
    out: Path | None = None,
    device: str = "auto",
    devices: int = 1,
) -> str:
    """Train ``clip:scenes`` or ``dino:scenes``; returns the path of the weights file.

    Args:
        training: settings that differ from the defaults.
        root: folder of artefacts and runs; None reads ``WILSS_ROOT``.
        out: folder of the weights; None chooses one under ``root`` by the settings' digest.
        device: cpu, cuda or mps; auto takes cuda, else mps, else cpu.
        devices: that share the training, a process each.
    """
    return str(pretrain_model(model, training or {}, root or default_root(), out, device, devices))
