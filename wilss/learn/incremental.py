"""Step t >= 1: one loop for all methods."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from wilss.data.augment import View, draw_view
from wilss.data.images import TaggedImages
from wilss.data.spec import AugmentSpec
from wilss.device import to_device
from wilss.errors import SpecError
from wilss.learn.copypaste import Pasted, paste
from wilss.learn.loop import Training, Watch
from wilss.learn.memory import MemoryBank
from wilss.learn.methods import METHODS, build_method
from wilss.learn.methods.contract import Method, StepBatch, StepContext
from wilss.learn.seen import Seen
from wilss.learn.spec import MethodSettings, PasteSpec, TrainSpec
from wilss.nets.segmenter import Segmenter
from wilss.nets.vectors import Chain, Vectors
from wilss.parallel.rows import Rows
from wilss.state import History


class MaskLayers(Protocol):
    """Pseudo-masks by position; implemented by a label set."""

    def layers(self, positions: Sequence[int]) -> Tensor:
        """uint8 ``(N, C, canvas, canvas)``, 1 inside a class's refined mask."""
        ...


@dataclass(frozen=True)
class StepResult:
    """The trained student, the method (with its plug-in) and the mean loss terms of every epoch.

    vectors: factors on the singular values of the bases, empty unless the step tunes them.
    """

    student: Segmenter
    method: Method
    history: History
    vectors: Vectors = field(default_factory=dict)


@dataclass(frozen=True)
class StepData:
    """What a step t >= 1 learns from.

    labels: pseudo-masks of the step's images; None for methods that make their own. bank: None where nothing is pasted.
    """

    images: TaggedImages
    labels: MaskLayers | None
    bank: MemoryBank | None


def train_step(
    old: Segmenter,
    data: StepData,
    method_name: str,
    settings: MethodSettings,
    spec: TrainSpec,
    augment: AugmentSpec,
    seed: int,
    watch: Watch | None = None,
    chain: Chain | None = None,
) -> StepResult:
    """Grow a copy of ``old`` by the step's classes and train it; ``old`` stays frozen and unchanged.

    Args:
        settings: the method's own.
        chain: bases and vectors that a step tuned by singular values goes on from; without it such a step decomposes
            ``old``, and no other step takes notice of it.

    Raises SpecError when the method pastes and the bank is missing, empty or of other classes; TrainingError when a
    loss is not finite.
    """
    torch.manual_seed(seed)
    student = copy.deepcopy(old).requires_grad_(True)
    n_new = data.images.tags.shape[1]
    student.grow(n_new)
    if chain and spec.tuning == "svf":
        student.backbone.load_state_dict(chain.bases.state_dict())  # its vectors make it the old backbone again
    draws, samples = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 1)
    frozen = spec.tuning == "frozen"
    context = StepContext(student, old, 1 + sum(old.step_sizes), n_new, settings, samples, frozen)
    method = build_method(method_name, context)
    if method.paste:
        _require_bank(data.bank, context.n_old, method_name)
    device = next(student.parameters()).device
    seen = Seen(old, data.images.images, spec.precision)
    batches = StepBatches(data, method.paste, augment, draws, device, seen)
    ids = data.images.images.ids
    watch, vectors = watch or Watch("step"), chain.vectors if chain else {}
    reading = data.images.images.reading()
    training = Training(student, method, batches.draw, ids, spec, (draws, samples), watch, reading, vectors=vectors)
    return StepResult(student, method, training.run(), training.vectors)


def _require_bank(bank: MemoryBank | None, n_old: int, method: str) -> None:
    """Raise SpecError for a bank without instances, or with classes that the old model has no output for."""
    if not bank:
        raise SpecError(
            f"method '{method}' pastes old instances but there is no memory bank, or an empty one; build one first, or "
            f"switch pasting off with --set {METHODS[method].reads}.paste.probability=0"
        )
    if (most := int(bank.channels.max())) >= n_old:
        raise SpecError(
            f"the memory bank has instances of output {most}, and the old model's are 0 to {n_old - 1}; give the bank "
            "that was made with this model's classes"
        )


@dataclass(frozen=True)
class StepBatches:
    """Draws augmented batches with pasted instances, on the student's device.

    seen: what rules of ``paste`` ask (`PasteSpec.looks`); they want nothing where it is None.
    """

    data: StepData
    paste: PasteSpec | None
    augment: AugmentSpec
    generator: torch.Generator
    device: torch.device
    seen: Seen | None = None

    def draw(self, positions: list[int]) -> StepBatch:
        """Crop images and masks with the same view, and paste; of the rows of this process."""
        rows = Rows.of_rank(len(positions))
        own = rows.of(positions)
        canvas, sizes = self.data.images.images.batch(own)
        view = draw_view(self.augment, sizes, self.generator, rows)
        images = view.images(to_device(canvas, self.device))
        masks = None
        if self.data.labels is not None:
            masks = view.layers(to_device(self.data.labels.layers(own), self.device))
        if self.paste is None or self.data.bank is None:
            nothing = torch.zeros(len(images), *images.shape[-2:], dtype=torch.int64, device=self.device)
            pasted = Pasted(images, nothing, masks)
        else:
            look = None if self.seen is None else partial(self._look, self.seen, view, own)
            pasted = paste(images, masks, self.data.bank, self.paste, self.generator, look, rows)
        return StepBatch(
            pasted.images,
            pasted.layers,
            to_device(self.data.images.tags[own], self.device),
            pasted.channels,
        )

    def _look(self, seen: Seen, view: View, positions: list[int], rows: Tensor) -> Tensor:
        """What the old model sees in these rows of a batch, cropped as they are."""
        canvases = seen.canvases([positions[row] for row in rows.tolist()])
        return view.of(rows).labels(to_device(canvases, self.device)[:, 0]).long()
