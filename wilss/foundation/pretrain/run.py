"""One command's worth of pretraining: draw the data, train, write the weights file with its metadata."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import wilss._torchvision

import timm
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import wilss.nets.scenes_vit  # noqa: F401  (registers vit_scenes with timm)
from wilss.errors import FormatError, SpecError, did_you_mean
from wilss.foundation.clip_towers import new_scenes_clip
from wilss.foundation.pretrain.clip import ClipTraining, begin_with_scenes, train_clip
from wilss.foundation.pretrain.dino import DinoTraining, train_dino
from wilss.foundation.pretrain.loop import Progress
from wilss.foundation.pretrain.pairs import EASY_WORLD, SCENES_WORLD, draw_pairs
from wilss.outputs import whole_file, writable_folder
from wilss.outside import parse_json
from wilss.parallel.launch import on_each
from wilss.parallel.process import Telling
from wilss.parallel.ranks import here, require_even
from wilss.words import explain

Model = Literal["clip", "dino"]
SPECS: dict[str, type[ClipTraining] | type[DinoTraining]] = {"clip": ClipTraining, "dino": DinoTraining}
FILE_NAMES: dict[Model, str] = {"clip": "clip_scenes.safetensors", "dino": "dino_scenes.safetensors"}
AGAIN = "delete it to train again"
WORLDS = [world.plain() for world in (EASY_WORLD, SCENES_WORLD)]


def training_spec(model: str, changes: dict[str, Any]) -> ClipTraining | DinoTraining:
    """The settings of a pretraining, defaults changed key by key.

    Raises SpecError for an unknown model, key or value.
    """
    if model not in SPECS:
        raise SpecError(f"there is no pretraining of '{model}'.{did_you_mean(model, (*SPECS, 'shapes'))}")
    kind = SPECS[model]
    try:
        return kind.model_validate(changes)
    except ValidationError as error:
        raise SpecError(f"settings of the {model} training cannot be used: {explain(error, kind)}") from error


def pretrain(
    model: Model,
    spec: ClipTraining | DinoTraining,
    folder: Path,
    progress: Callable[[str], Progress],
    devices: tuple[str, ...] = ("cpu",),
) -> Path:
    """Train ``clip:scenes`` or ``dino:scenes`` and write the weights (fp16 safetensors); returns the file's path.

    Args:
        folder: where weights and state go. A finished file is returned as it is, a state is taken up again.
        progress: gives the progress callback of a stage by its name.
        devices: of `wilss.device.require_devices`; each is that of a process which takes its part of every batch.

    Raises SpecError for a batch that the devices cannot share.
    """
    path = weights_of(model, spec, folder)
    state = state_of(path)
    if path.is_file():
        _require_same(path, spec)
        state.unlink(missing_ok=True)  # left where a run was stopped right after its weights were written
        return path
    require_even("batch_size", spec.batch_size, len(devices))
    writable_folder(folder)
    if len(devices) == 1:
        _train(spec, path, progress, devices[0])
    else:
        _train_on_each(_Sent(model=model, training=spec.plain(), path=path.resolve()), progress, devices)
    state.unlink(missing_ok=True)
    return path


def weights_of(model: Model, spec: ClipTraining | DinoTraining, folder: Path) -> Path:
    """The file that this training writes into the folder."""
    vit = isinstance(spec, ClipTraining) and spec.tower == "vit"
    return folder / ("clip_scenes_vit.safetensors" if vit else FILE_NAMES[model])


def state_of(weights: Path) -> Path:
    """Where the training that writes these weights keeps its state, apart from those of others in the folder."""
    return weights.with_suffix(".state.pt")


class _Sent(BaseModel):
    """What a process of several is given. between: folder in which they share images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Model
    training: dict[str, Any]
    path: Path
    between: Path | None = None


def _train_on_each(sent: _Sent, progress: Callable[[str], Progress], devices: tuple[str, ...]) -> None:
    def hear(kind: str, content: list[Any]) -> None:
        if kind == "moved":
            stage, *moved = content
            progress(stage)(*moved)

    with tempfile.TemporaryDirectory(prefix="wilss-pairs-") as between:
        order = sent.model_copy(update={"between": Path(between)})
        on_each(f"{__name__}:train_as_rank", order.model_dump(mode="json"), list(devices), hear)


def train_as_rank(arguments: dict[str, Any], telling: Telling) -> None:
    """The part of one process; see `wilss.parallel.process`."""
    sent = _Sent.model_validate(arguments)

    def progress(stage: str) -> Progress:
        return lambda done, total, loss: telling.progress(stage, done, total, loss)

    _train(training_spec(sent.model, sent.training), sent.path, progress, telling.device, sent.between)


def _train(
    spec: ClipTraining | DinoTraining,
    path: Path,
    progress: Callable[[str], Progress],
    device: str,
    between: Path | None = None,
) -> None:
    """Train; the first of the processes writes the weights."""
    start, state = time.monotonic(), state_of(path)
    if isinstance(spec, ClipTraining):
        net = _clip(spec, state, progress, device, between)
    else:
        net = _dino(spec, state, progress, device, between)
    minutes, count = (time.monotonic() - start) / 60, here().count
    place = f"{count} x {torch.device(device).type}" if count > 1 else device
    notes = {
        "training": json.dumps(spec.plain()),
        "worlds": json.dumps(WORLDS),
        "compute": f"{minutes:.0f} minutes since the last start, {torch.get_num_threads()} threads, {place}",
        "licence": "Apache-2.0",
    }
    if here().rank == 0:
        write_weights(net.state_dict(), path, notes)


def _require_same(path: Path, spec: ClipTraining | DinoTraining) -> None:
    try:
        with safe_open(path, "pt") as handle:
            notes = handle.metadata() or {}
    except SafetensorError as error:
        raise FormatError(f"'{path}' is damaged ({error}); {AGAIN}") from error
    trained = parse_json(notes.get("training", "null"), f"'{path}' is damaged", AGAIN)
    if trained != spec.plain() or notes.get("worlds") != json.dumps(WORLDS):
        raise FormatError(f"'{path}' was trained with other settings; choose another folder with --out")


def _clip(
    spec: ClipTraining, state: Path, progress: Callable[[str], Progress], device: str, between: Path | None
) -> nn.Module:
    torch.manual_seed(spec.seed)
    net: Any = new_scenes_clip(spec.tower)
    if spec.begins_with_scenes:
        begin_with_scenes(net)
    drawn, total = progress("draw pairs"), spec.n_easy + spec.n_scenes
    pools = {
        "easy": draw_pairs(
            EASY_WORLD, spec.n_easy, lambda done, _: drawn(done, total, 0.0), between and between / "easy"
        ),
        "scenes": draw_pairs(
            SCENES_WORLD,
            spec.n_scenes,
            lambda done, _: drawn(spec.n_easy + done, total, 0.0),
            between and between / "scenes",
        ),
    }
    train_clip(net, pools, spec, state, progress("train clip"), device)
    return net


def _dino(
    spec: DinoTraining, state: Path, progress: Callable[[str], Progress], device: str, between: Path | None
) -> nn.Module:
    torch.manual_seed(spec.seed)
    vit: Any = timm.create_model("vit_scenes", pretrained=False)
    drawn = progress("draw images")
    pairs = draw_pairs(
        SCENES_WORLD, spec.n_images, lambda done, all_: drawn(done, all_, 0.0), between and between / "scenes"
    )
    train_dino(vit, pairs.images, spec, state, progress("train dino"), device)
    return vit


def write_weights(state: Mapping[str, Tensor], path: Path, notes: dict[str, str]) -> None:
    """Write a network as fp16 safetensors with what is known of it, by one rename."""
    halves = {
        name: value.half().contiguous().cpu() if value.is_floating_point() else value.contiguous().cpu()
        for name, value in state.items()
        if not name.endswith(("attn_mask", "num_batches_tracked"))
    }
    with whole_file(path) as partial:
        save_file(halves, partial, notes)
