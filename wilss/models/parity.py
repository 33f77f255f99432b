"""How far an exported model is from the one it was made from, picture by picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from wilss.models.deployable import Deployable
from wilss.models.graphs import Run
from wilss.models.model import Model


class Picture(NamedTuple):
    """An image uint8 ``(3, H, W)`` by name."""

    name: str
    image: Tensor


class Compared(BaseModel):
    """One picture: the largest difference of logits, None where it gives none, and shares of pixels in [0, 1].

    equal: has the class id that the exported graph has in PyTorch. as_predicted: that ``wilss predict`` gives, which
    shrinks eight bits at a time where an image is huge.
    """

    model_config = ConfigDict(frozen=True)

    picture: str
    height: int
    width: int
    logits: float | None
    equal: float
    as_predicted: float


class Parity(BaseModel):
    """All pictures together, and each.

    logits: largest difference. equal, as_predicted: shares of all pixels. iou: mean over the classes that either
    gives, of what the exported model finds with what its origin finds.
    """

    model_config = ConfigDict(frozen=True)

    logits: float | None
    equal: float
    as_predicted: float
    iou: float
    pictures: tuple[Compared, ...]


@torch.inference_mode()
def compare(model: Model, run: Run, pictures: Iterable[Picture]) -> Parity:
    """Run both over pictures, one by one; at least one.

    Args:
        model: the origin. run: the exported graph.
    """
    origin = Deployable(model.network, model.card).eval()
    found, counts = [], torch.zeros(3, 256)
    for name, image in pictures:
        given = run(image[None])
        wanted, theirs = (output[0] for output in origin(image[None]))
        labels = given["labels"][0] if "labels" in given else origin.ids[given["logits"][0].argmax(0)]
        counts += _counted(labels, wanted)
        found.append(
            Compared(
                picture=name,
                height=image.shape[1],
                width=image.shape[2],
                logits=float((given["logits"][0] - theirs).abs().max()) if "logits" in given else None,
                equal=float((labels == wanted).double().mean()),
                as_predicted=float((labels == model.predict(image)).double().mean()),
            )
        )
    return _together(found, counts)


def _counted(labels: Tensor, wanted: Tensor) -> Tensor:
    """Pixels of every class id: found, wanted, both; ``(3, 256)``."""
    both = labels[labels == wanted]
    return torch.stack([torch.bincount(ids.flatten().long(), minlength=256) for ids in (labels, wanted, both)]).float()


def _together(found: Sequence[Compared], counts: Tensor) -> Parity:
    pixels = [one.height * one.width for one in found]
    united = counts[0] + counts[1] - counts[2]
    there = united > 0
    differences = [one.logits for one in found if one.logits is not None]
    return Parity(
        logits=max(differences, default=None),
        equal=_share([one.equal for one in found], pixels),
        as_predicted=_share([one.as_predicted for one in found], pixels),
        iou=float((counts[2][there] / united[there]).mean()),
        pictures=tuple(found),
    )


def _share(values: Sequence[float], pixels: Sequence[int]) -> float:
    return sum(value * n for value, n in zip(values, pixels, strict=True)) / sum(pixels)
