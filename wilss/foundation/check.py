"""Looking at foundation models: what is there, does it load, what does it see."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.given import read_named
from wilss.data.images import to_canvas
from wilss.data.scenes.outlines import CLASSES
from wilss.data.scenes.world import draw
from wilss.device import require_device
from wilss.errors import SpecError
from wilss.foundation.catalogue import catalogue, describe
from wilss.foundation.clip import ClipScorer
from wilss.foundation.contracts import Grouper, Scorer
from wilss.foundation.quality import HELD_OUT, image_level_recall, label_quality
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_grouper, build_scorer, require_known
from wilss.outputs import writable_folder
from wilss.report.pictures import View
from wilss.report.records import share
from wilss.report.sheets import contact_sheet
from wilss.spec import make_spec

Watch = Callable[[str], AbstractContextManager[Callable[[str, int, int, float], None]]]
"""Shows the progress of a titled stage: what it opens is called with (part, done, total, loss)."""
BUILDERS: dict[str, Callable[..., Any]] = {"scorer": build_scorer, "grouper": build_grouper}
OURS = ("clip:scenes", "clip:scenes-vit", "dino:scenes")
BUILT_IN = make_spec({"benchmark": "scenes-15-5"}).foundation
"""The settings of the demo, in which the small models are measured."""


def list_foundations(folder: Path | None) -> list[dict[str, Any]]:
    """Every well-known model with role, weights, licence and size."""
    return [asdict(entry) for entry in catalogue(folder)]


def check_foundation(
    name: str,
    folder: Path | None,
    image: Path | None,
    prompts: tuple[str, ...],
    out: Path,
    device: str,
    count: int,
    watch: Watch,
) -> dict[str, Any]:
    """Load a model, run it on one image and write what it sees; for the small models measure the bars of their cards.

    Args:
        image: picture to look at; a scene of the built-in world when left out.
        prompts: class names for a scorer.
        out: path of the PNG.
        count: number of held-out scenes that the small models are measured on. watch: shows how far that is.

    Raises SpecError for an unknown name, WeightsNotFoundError when weights are missing, DataError for a broken image.
    """
    device = str(require_device(device))
    if count < 1:
        raise SpecError(f"{count} scenes cannot be measured; give --scenes a positive number")
    facts: dict[str, Any] = asdict(describe(name, folder))
    spec = _spec_for(name, facts["role"])
    start = time.monotonic()
    model: Any = BUILDERS[facts["role"]](spec, folder, device)
    facts["device"] = device
    facts["load_seconds"] = round(time.monotonic() - start, 2)
    picture, words = _picture(image), []
    if facts["role"] == "scorer":
        words = list(prompts or _words(name, image))
        require_known(model, {word: (word,) for word in words})
    start = time.monotonic()
    maps, titles = _look(model, facts["role"], picture.to(device), words)
    facts["seconds"] = round(time.monotonic() - start, 3)
    facts["grid"] = list(maps.shape[-2:])
    facts["picture"] = str(_draw(picture, maps.cpu(), titles, out))
    if name.partition("@")[0] in OURS:
        facts["metrics"] = _measure(spec, {facts["role"]: model}, device, folder, count, watch)
    return facts


def _spec_for(name: str, role: str) -> FoundationSpec:
    """Demo settings for the small models, defaults for all others."""
    if name.partition("@")[0] in OURS:
        return BUILT_IN.model_copy(update={role: name})
    return FoundationSpec.model_validate({role: name})


def _measure(
    spec: FoundationSpec, built: dict[str, Any], device: str, folder: Path | None, count: int, watch: Watch
) -> dict[str, Any]:
    """Args: built: role -> the model that is there already."""
    models = {role: built.get(role) or build(spec, folder, device) for role, build in BUILDERS.items()}
    scorer, grouper = models["scorer"], models["grouper"]
    with watch("measure") as progress:
        quality = label_quality(
            scorer,
            grouper,
            spec.cosegment,
            count,
            progress=lambda done, total: progress("scenes", done, total, 0.0),
            device=device,
        )
    means = {name: share(value) for name, value in asdict(quality).items()}
    metrics: dict[str, Any] = {"scenes": count, "world_seed": HELD_OUT.seed, **means}
    clip = getattr(scorer, "scorers", (scorer,))[0]
    if isinstance(clip, ClipScorer):
        metrics["recall_at_n"] = image_level_recall(clip, count)
    return metrics


def _picture(path: Path | None) -> Tensor:
    """uint8 ``(3, H, W)``."""
    return draw(HELD_OUT, "held out", 0, 1).images[0] if path is None else to_canvas(read_named(path), 512)


def _words(name: str, image: Path | None) -> tuple[str, ...]:
    if image is not None or name.startswith("classifier:"):
        raise SpecError("name what to look for, and best a picture that shows it: --image FILE --prompt sheep")
    return tuple(CLASSES[c - 1] for c in draw(HELD_OUT, "held out", 0, 1).tags()[0])


def _look(model: Scorer | Grouper, role: str, picture: Tensor, words: list[str]) -> tuple[Tensor, list[str]]:
    """Maps ``(K, h, w)`` with titles: one per word of a scorer, one per seed of a grouper."""
    images = picture[None].float() / 255
    if role == "scorer":
        return model.scores(images, [[word] for word in words])[0], words  # type: ignore[union-attr]
    seeds = torch.tensor([[0.5, 0.5], [0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
    titles = [f"seed {x:.2f}, {y:.2f}" for x, y in seeds.tolist()]
    return model.affinity(images, seeds[None].to(images.device))[0], titles  # type: ignore[union-attr]


def _draw(picture: Tensor, maps: Tensor, titles: list[str], out: Path) -> Path:
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    grey = (maps - low) / (high - low).clamp(min=1e-8)
    large = F.interpolate(grey[None], picture.shape[-2:], mode="bilinear", align_corners=False)[0]
    tiles = [(layer[None].expand(3, -1, -1) * 255).to(torch.uint8) for layer in large]
    writable_folder(out.parent)
    contact_sheet([[View(picture) for picture in (picture, *tiles)]], ["image", *titles], [out.stem]).save(out)
    return out
