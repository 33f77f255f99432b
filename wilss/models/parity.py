"""How far an exported model is from the one it was made from, picture by picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from wilss.data.source import VOID
from wilss.errors import DataError
from wilss.measure.confusion import confusion, iou
from wilss.models.deployable import Deployable
from wilss.models.graphs import Run
from wilss.models.model import Model

IDS = 256


class Picture(NamedTuple):
    """An image uint8 ``(3, H, W)`` by name, and its true mask uint8 ``(H, W)`` of class ids where it is at hand."""

    name: str
    image: Tensor
    mask: Tensor | None = None


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


class Scored(BaseModel):
    """Mean IoU against true masks, over classes of the model that these show; of the origin, and of the graph.

    unknown: share of the masks' pixels, void left out, that have an id the model does not know; they are not scored.
    """

    model_config = ConfigDict(frozen=True)

    model: float
    graph: float
    unknown: float = 0.0


class Parity(BaseModel):
    """All pictures together, and each.

    logits: largest difference. equal, as_predicted: shares of all pixels. iou: mean over the classes that either
    gives, of what the exported model finds with what its origin finds. truth: where there are true masks.
    """

    model_config = ConfigDict(frozen=True)

    logits: float | None
    equal: float
    as_predicted: float
    iou: float
    truth: Scored | None = None
    pictures: tuple[Compared, ...]


@torch.inference_mode()
def compare(model: Model, run: Run, pictures: Iterable[Picture]) -> Parity:
    """Run both over pictures, one by one; at least one.

    Args:
        model: the origin. run: the exported graph.

    Raises DataError where there are true masks and no pixel of them has an id of the model.
    """
    origin = Deployable(model.network, model.card).eval()
    found, counts, truth = [], torch.zeros(3, IDS), torch.zeros(2, IDS, IDS, dtype=torch.int64)
    ids = torch.zeros(IDS, dtype=torch.int64)
    for name, image, mask in pictures:
        given = run(image[None])
        wanted, theirs = (output[0] for output in origin(image[None]))
        labels = given["labels"][0] if "labels" in given else origin.ids[given["logits"][0].argmax(0)]
        counts += _counted(labels, wanted)
        if mask is not None:
            ids += torch.bincount(mask.flatten().long(), minlength=IDS)
            known = mask.where(torch.isin(mask, origin.ids), VOID)
            truth += torch.stack([confusion(known, of, IDS) for of in (model.predict(image), labels)])
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
    return _together(found, counts, truth, _unknown(ids, origin.ids))


def _unknown(ids: Tensor, known: Tensor) -> float:
    """Share of the pixels of true masks whose id the model does not know."""
    of_model = int(ids[known.long()].sum())
    if ids.any() and not of_model:
        there = _listed(ids.nonzero()[:, 0].tolist())
        raise DataError(
            f"the true masks have the ids {there}, the model {_listed(known.tolist())}; give masks of the model's ids"
        )
    scored = int(ids.sum() - ids[VOID])
    return 1 - of_model / scored if scored else 0.0


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids[:6])) + (f" and {len(ids) - 6} more" if len(ids) > 6 else "")


def _counted(labels: Tensor, wanted: Tensor) -> Tensor:
    """Pixels of every class id: found, wanted, both; ``(3, IDS)``."""
    both = labels[labels == wanted]
    return torch.stack([torch.bincount(ids.flatten().long(), minlength=IDS) for ids in (labels, wanted, both)]).float()


def _together(found: Sequence[Compared], counts: Tensor, truth: Tensor, unknown: float) -> Parity:
    pixels = [one.height * one.width for one in found]
    united = counts[0] + counts[1] - counts[2]
    there = united > 0
    differences = [one.logits for one in found if one.logits is not None]
    return Parity(
        logits=max(differences, default=None),
        equal=_share([one.equal for one in found], pixels),
        as_predicted=_share([one.as_predicted for one in found], pixels),
        iou=float((counts[2][there] / united[there]).mean()),
        truth=Scored(model=_miou(truth[0]), graph=_miou(truth[1]), unknown=unknown) if truth.any() else None,
        pictures=tuple(found),
    )


def _miou(matrix: Tensor) -> float:
    return float(iou(matrix).nanmean())


def _share(values: Sequence[float], pixels: Sequence[int]) -> float:
    return sum(value * n for value, n in zip(values, pixels, strict=True)) / sum(pixels)
