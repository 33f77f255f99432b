"""The pretraining of the small foundation models as a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stores.progress import say, stage_progress
from tasks.base import heavy_task
from wilss.device import require_devices
from wilss.errors import TornStateError
from wilss.foundation.pretrain.loop import Progress, run_digest
from wilss.foundation.pretrain.run import Model, pretrain, state_of, training_spec, weights_of
from wilss.precision import require_full_fp32


@heavy_task
def pretrain_model(
    model: Model, content: dict[str, Any], root: Path, out: Path | None, device: str, devices: int = 1
) -> Path:
    """Train one of the small foundation models; running it again goes on, or finds the finished file.

    A state that cannot be gone on from is said and thrown away. Raises SpecError for settings that the training does
    not have.
    """
    places = require_devices(device, devices)
    require_full_fp32()
    spec = training_spec(model, content)
    folder = out or root / "pretrained" / f"{model}-{run_digest(spec)[:12]}"
    with stage_progress(f"pretrain {model}") as update:

        def stage(name: str) -> Progress:
            return lambda done, total, loss: update(name, done, total, loss)

        try:
            return pretrain(model, spec, folder, stage, places)
        except TornStateError as error:
            say(f"pretrain {model}: {error}; training from the start")
            state_of(weights_of(model, spec, folder)).unlink()
            return pretrain(model, spec, folder, stage, places)
