"""What a student scored, as scripts read it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from wilss.measure.confusion import iou
from wilss.measure.tables import CONVENTIONS, Convention, Metrics, metrics


@dataclass(frozen=True)
class Scores:
    """Scores of a student over images with masks.

    classes: names in the order of the outputs, without background. n_old: how many of them step 0 taught.
    confusion: pixel counts int64 ``(1 + C, 1 + C)``, rows truth, columns prediction, background first.
    """

    classes: tuple[str, ...]
    n_old: int
    confusion: Tensor

    @property
    def iou(self) -> dict[str, float]:
        """Name -> IoU in [0, 1], "background" first; NaN for a class that the truth does not contain."""
        return dict(zip(("background", *self.classes), iou(self.confusion).tolist(), strict=True))

    @property
    def means(self) -> dict[Convention, Metrics]:
        """Mean IoU of old, new and all classes in the three conventions; see `wilss.measure.tables.CONVENTIONS`."""
        return {name: metrics(iou(self.confusion), self.n_old, name) for name in CONVENTIONS}
