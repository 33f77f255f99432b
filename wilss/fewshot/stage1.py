"""Training of a PSPNet on masks: stage 1 of BAM and CWT, on the base classes of a fold, and what may come before it.

Any head may start from the backbone of either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wilss.fewshot.psp import PspNet
from wilss.fewshot.sections import PspTrainSpec
from wilss.fewshot.training import net_rule
from wilss.learn.base import MaskedBatch
from wilss.learn.loop import Training, Watch
from wilss.state import History


@dataclass(frozen=True)
class _BaseClasses:
    model: PspNet
    spec: PspTrainSpec

    def heads(self) -> Iterable[nn.Module]:
        return ()

    def losses(self, batch: MaskedBatch, epoch: int) -> dict[str, Tensor]:
        return self.model.losses(batch.images, batch.labels, self.spec.smoothing, self.spec.loss_stride)


def train_stage1(
    model: PspNet,
    draw: Callable[[list[int]], MaskedBatch],
    ids: tuple[str, ...],
    spec: PspTrainSpec,
    generator: torch.Generator,
    watch: Watch | None = None,
) -> History:
    """Train ``model`` in place; returns the mean losses of every epoch.

    Raises TrainingError when the loss is not finite.
    """
    parts = {
        "backbone": list(model.backbone.parameters()),
        "head": [p for name, p in model.named_parameters() if not name.startswith("backbone.")],
    }
    training = Training(
        model,
        _BaseClasses(model, spec),
        draw,
        ids,
        spec,
        (generator,),
        watch or Watch("stage 1"),
        make_rules=lambda total: [net_rule(spec, parts, spec.weight_decay, total)],
    )
    return training.run()
