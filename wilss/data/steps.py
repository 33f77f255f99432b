"""Which images each step of a benchmark has, and what it may see of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from wilss.data.held_out import held_out
from wilss.data.images import ImageTable, MaskedImages, TaggedImages
from wilss.data.listing import TaggedList
from wilss.data.room import Room
from wilss.data.source import VOID, Source
from wilss.digest import digest_of
from wilss.errors import DataError
from wilss.protocol import Benchmark, Scenario, output_channels, step_images, visible_tags


@dataclass(frozen=True)
class StepLists:
    """A data set cut into the steps of a benchmark.

    A step t >= 1 gets images and tags of its own classes (`tagged`); nothing that it is handed reaches a mask or
    another class's tag.

    later: step -> ids of images that came after it was learnt, with a later step, and leave it alone. room: that all
    tables of images share; None gives each its own. buffer: see `wilss.data.order.Reading`.
    """

    source: Source
    training: TaggedList
    protocol: Benchmark
    scenario: Scenario
    later: Mapping[int, Set[str]] = field(default_factory=dict)
    room: Room | None = None
    buffer: int = 0

    @classmethod
    def open(cls, source: Source, protocol: Benchmark, scenario: Scenario) -> StepLists:
        """Read the training list of a data set and cut it."""
        return cls(source, TaggedList.of(source), protocol, scenario)

    def of(self, protocol: Benchmark) -> StepLists:
        """The same data cut by another benchmark."""
        return replace(self, protocol=protocol)

    def listed(self, step: int) -> tuple[int, ...]:
        """Positions in the training list of the images that the protocol gives to a step, ascending."""
        if step not in self._listed:
            self._listed[step] = self._images(step, self.scenario)
        return self._listed[step]

    def positions(self, step: int) -> tuple[int, ...]:
        """Those that the step can use: at step 0 they need a mask."""
        if step:
            return self.listed(step)
        return self._with_mask

    def ids(self, step: int) -> tuple[str, ...]:
        """Image ids of a step."""
        return tuple(self.training.ids[p] for p in self.positions(step))

    def fingerprint(self, step: int) -> str:
        """Digest of a step's images and of their labels of its own classes.

        Built-in data are known as a whole: where the scenario leaves images of a step t >= 1 out, those that stay are
        told; at step 0 the scenario is told beside it.
        """
        data = self._of_source(step)
        if step == 0 or self.listed(step) == self._overlapping(step):
            return data
        return digest_of({"data": data, "images": list(self.ids(step))})

    def evaluation_fingerprint(self, step: int) -> str:
        """Digest of the evaluation images and of their labels of the classes known after a step."""
        if self._of_source(step) == self.source.fingerprint:  # data that are known as a whole
            return self.source.fingerprint
        return self.source.fingerprint_of(self.source.ids("eval"), self.protocol.seen(step))

    def _of_source(self, step: int) -> str:
        """Asked of the source once a step."""
        if step not in self._fingerprints:
            self._fingerprints[step] = self.source.fingerprint_of(self.ids(step), self.protocol.steps[step])
        return self._fingerprints[step]

    def _overlapping(self, step: int) -> tuple[int, ...]:
        return self._images(step, "overlap")

    def _images(self, step: int, scenario: Scenario) -> tuple[int, ...]:
        later = self.later.get(step, ())
        given = step_images(self.training.tags, self.protocol, step, scenario)
        return tuple(p for p in given if self.training.ids[p] not in later) if later else given

    def base(self, canvas: int, void: str = "background") -> MaskedImages:
        """Images and masks of step 0; every class but the base classes becomes background (0).

        Args:
            void: "background" maps 255 to 0 as WILSON's code does, "ignore" keeps it.

        Raises DataError when no image has a mask that the protocol gives to step 0.
        """
        channels = output_channels(self.protocol.steps[0], len(self.source.classes), VOID if void == "ignore" else 0)
        self.require_images(0)
        return MaskedImages(self._table(self.ids(0), canvas), tuple(channels), self.source)

    def base_parts(self, canvas: int, void: str, share: float, seed: int) -> tuple[MaskedImages, MaskedImages | None]:
        """The same in two parts: what is learnt from, and a share of it that is held out; None where that is 0."""
        whole = self.base(canvas, void)
        if not share:
            return whole, None
        known = set(self.protocol.steps[0])
        tags = [known & set(self.training.tags[p]) for p in self.positions(0)]
        kept_out = set(held_out(tags, share, seed))
        ids = whole.images.ids
        parts = (tuple(ids[p] for p in range(len(ids)) if (p in kept_out) == chosen) for chosen in (False, True))
        learnt, scored = (replace(whole, images=self._table(part, canvas), _cache={}) for part in parts)
        return learnt, scored

    def tagged(self, step: int, canvas: int, only: Sequence[str] | None = None) -> TaggedImages:
        """Images and image-level labels of the classes of step t >= 1; no mask and no tag of any other class.

        Args:
            only: ids of the images to take, for a label set that holds a part of them.

        Raises ValueError for step 0, which has masks (`base`); DataError for a step without images.
        """
        if step < 1:
            raise ValueError(f"step {step} is the base step; its data come from base()")
        positions = self._chosen(step, only)
        rows = [visible_tags(self.training.tags[p], self.protocol.steps[step]) for p in positions]
        table = self._table(tuple(self.training.ids[p] for p in positions), canvas)
        return TaggedImages(table, torch.tensor(rows, dtype=torch.bool))

    def evaluation(self, step: int, canvas: int, part: str = "") -> MaskedImages:
        """All evaluation images; classes not yet learnt at ``step`` count as background, void stays 255.

        Args:
            part: one of the source's further evaluation sets; "" is the main one.
        """
        channels = output_channels(self.protocol.seen(step), len(self.source.classes), VOID)
        ids = self.source.further_eval[part] if part else self.source.ids("eval")
        return MaskedImages(self._table(ids, canvas), tuple(channels), self.source)

    def require_images(self, step: int) -> None:
        """Raise DataError when a step has no image."""
        if self.positions(step):
            return
        names = ", ".join(self.source.classes[c - 1] for c in self.protocol.steps[step])
        masks = " with a mask" if step == 0 else ""
        hides = self.scenario == "disjoint" and not self.protocol.keeps_empty
        alone = " and no class unknown by then" if hides else ""
        raise DataError(
            f"no training image{masks} for step {step} of {self.protocol.name} ({self.scenario}): none holds "
            f"{names}{alone}; check the list{', or take the scenario overlap' if hides else ''}"
        )

    def _chosen(self, step: int, only: Sequence[str] | None) -> tuple[int, ...]:
        self.require_images(step)
        if only is None:
            return self.positions(step)
        wanted = set(only)
        return tuple(p for p in self.positions(step) if self.training.ids[p] in wanted)

    def _table(self, ids: tuple[str, ...], canvas: int) -> ImageTable:
        return ImageTable(self.source, ids, canvas, self.room or Room(), self.buffer)

    @cached_property
    def _with_mask(self) -> tuple[int, ...]:
        return tuple(p for p in self.listed(0) if self.source.has_mask(self.training.ids[p]))

    @cached_property
    def _listed(self) -> dict[int, tuple[int, ...]]:
        return {}

    @cached_property
    def _fingerprints(self) -> dict[int, str]:
        return {}
