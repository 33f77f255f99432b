"""What a stage cost, one JSON line each in the folder of its run: ``metrics.jsonl``; and TensorBoard, where it is.

Lines are for people's own tools: no code of this package reads them, and a line that is lost costs nothing.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from stores.artefacts import ArtefactRef, Manifest, Store
from stores.plans.plan import Node
from wilss.data.room import peak_resident
from wilss.errors import WilssError
from wilss.models.card import StudentCard, load_card
from wilss.outputs import writing

FILE = "metrics.jsonl"
BOARD = "tensorboard"


def note_stage(store: Store, folder: Path, node: Node, made: ArtefactRef, seconds: float) -> None:
    """Add the line of a stage that was made; a student's epochs go to TensorBoard too, where that is installed.

    Args:
        folder: of the run. seconds: that making it took.
    """
    manifest = store.find(made)
    if manifest is None:
        return
    losses = _losses(store, made)
    line = stage_line(node, manifest, seconds, losses)
    with writing(folder / FILE):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FILE).open("a", encoding="utf-8") as file:  # one write: lines of two processes do not mix
            file.write(json.dumps(line, allow_nan=False) + "\n")
    if losses and importlib.util.find_spec("tensorboard") is not None:
        _draw(folder / BOARD, node, losses, line)


def stage_line(node: Node, manifest: Manifest, seconds: float, losses: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """What ``metrics.jsonl`` has of a stage.

    images_per_second: of images looked at, of a training once an epoch. losses: of the last epoch, terms by name.
    """
    images = manifest.counts.get("images")
    looked_at = images * max(len(losses), 1) if images else None
    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "stage": node.title,
        "step": node.step,
        "kind": manifest.kind,
        "digest": manifest.digest,
        "seconds": round(seconds, 3),
        "images": images,
        "epochs": len(losses) or None,
        "images_per_second": round(looked_at / seconds, 2) if looked_at and seconds > 0 else None,
        "losses": {name: round(value, 6) for name, value in losses[-1].items()} if losses else None,
        "peak_rss_bytes": peak_resident(),
        "peak_gpu_bytes": gpu,
    }


def _losses(store: Store, made: ArtefactRef) -> Sequence[Mapping[str, float]]:
    """Loss terms of every epoch of a student; none of anything else."""
    if made.kind != "checkpoints":
        return ()
    try:
        return load_card(store.folder(made), StudentCard).history
    except WilssError:  # whoever reads the student says what is wrong with it
        return ()


def _draw(folder: Path, node: Node, losses: Sequence[Mapping[str, float]], line: Mapping[str, Any]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder / node.name.replace(" ", "-"))) as writer:
        for epoch, terms in enumerate(losses, start=1):
            for name, value in terms.items():
                writer.add_scalar(f"loss/{name}", value, epoch)
        for name in ("seconds", "images_per_second", "peak_rss_bytes"):
            if line[name] is not None:
                writer.add_scalar(f"stage/{name}", line[name], len(losses))
