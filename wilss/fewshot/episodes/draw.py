"""Few-shot episodes, drawn by the published rules, and the labels that they and stage 1 use.

Rules: "image" (PFENet's code): every image of the list is the query once a pass, its class uniform over the wanted
classes in its label, supports distinct. "class" (HSNet's code for COCO): class uniform, query uniform among its images,
supports drawn one by one, each other than the query; the same support may come twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
import torch
from pydantic import ConfigDict
from torch import Tensor

from wilss.data.source import VOID
from wilss.errors import DataError, SpecError, did_you_mean
from wilss.fewshot.episodes.lists import EpisodeList
from wilss.fewshot.episodes.spec import Novel

Rule = Literal["image", "class"]
_ORDER, _DRAW, _ABOUT = 0, 1, 2  # independent streams of random numbers


@dataclass(frozen=True)
class Episode:
    """Find ``class_id`` in the image ``query``, given the masks of the images ``supports``."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    query: str
    class_id: int
    supports: tuple[str, ...]


@dataclass(frozen=True)
class Sampler:
    """Episodes of a list; episode ``i`` depends on the list, the rule, the seed and ``i`` alone.

    With the same seed the supports are nested: those of K shots are the first K of those of more shots.

    Args:
        shots: K, supports of an episode.

    Raises SpecError for a rule or number out of range, DataError for a wanted class with too few images: an episode
    takes K + 1 different ones (two where supports may repeat).
    """

    lists: EpisodeList
    rule: Rule = "image"
    shots: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rule not in get_args(Rule):
            raise SpecError(f"unknown rule '{self.rule}'.{did_you_mean(self.rule, get_args(Rule))}")
        if self.shots < 1 or self.seed < 0:
            raise SpecError(f"shots is {self.shots} and seed {self.seed}; shots count from 1, seeds from 0")
        needed = 2 if self.may_repeat else self.shots + 1
        for class_id, ids in self.lists.by_class.items():
            if len(ids) < needed:
                raise DataError(
                    f"class {self.lists.name_of(class_id)} has {len(ids)} images with at least {self.lists.min_area} "
                    f"pixels of it; K = {self.shots} needs {needed}, the query among them. Take fewer shots, more "
                    "images or a smaller min_area"
                )

    def __len__(self) -> int:
        """Episodes of one pass over the images of the list."""
        return len(self.lists.images)

    @property
    def may_repeat(self) -> bool:
        """Whether a support may come twice in an episode, as in the code of the rule "class"."""
        return self.rule == "class"

    def episode(self, index: int) -> Episode:
        """Episode ``index``, from 0 without end."""
        rng = np.random.default_rng([self.seed, _DRAW, index])
        if self.rule == "image":
            number, place = divmod(index, len(self))
            position = int(_order(self.seed, number, len(self))[place])
            query, classes = self.lists.images[position].image_id, self.lists.present(position)
            class_id = classes[int(rng.integers(len(classes)))]
        else:
            class_id = self.lists.wanted[int(rng.integers(len(self.lists.wanted)))]
            query = _one_of(self.lists.by_class[class_id], rng)
        return Episode(query, class_id, self._supports(query, class_id, rng))

    def about(self, position: int, number: int) -> Episode:
        """One of many episodes whose query is the image at ``position`` of the list, told apart by ``number``."""
        rng = np.random.default_rng([self.seed, _ABOUT, position, number])
        classes = self.lists.present(position)
        class_id = classes[rng.integers(len(classes))]
        query = self.lists.images[position].image_id
        return Episode(query, class_id, self._supports(query, class_id, rng))

    def _supports(self, query: str, class_id: int, rng: np.random.Generator) -> tuple[str, ...]:
        chosen: list[str] = []
        while len(chosen) < self.shots:  # one by one: more shots leave the first ones as they are
            candidate = _one_of(self.lists.by_class[class_id], rng)
            if candidate != query and (self.may_repeat or candidate not in chosen):
                chosen.append(candidate)
        return tuple(chosen)


@lru_cache(maxsize=4)
def _order(seed: int, number: int, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Positions of the images in pass ``number``: each once, shuffled."""
    return np.random.default_rng([seed, _ORDER, number]).permutation(count)


def _one_of(ids: Sequence[str], rng: np.random.Generator) -> str:
    return ids[int(rng.integers(len(ids)))]


def episode_labels(mask: Tensor, class_id: int, image_id: str) -> Tensor:
    """Labels of an episode from the original label uint8 ``(H, W)`` of an image: the class 1, void 255, all else 0.

    Raises SpecError for an id that no class has, DataError for a label that is void everywhere: nothing in it counts.
    """
    if not 1 <= class_id < VOID:
        raise SpecError(f"class id {class_id} has no labels; class ids are 1 to {VOID - 1}")
    void = mask == VOID
    if bool(void.all()):
        raise DataError(
            f"the label of '{image_id}', of size {tuple(mask.shape)}, is void ({VOID}) everywhere, for class "
            f"{class_id} as for any; leave the image out of the lists"
        )
    return (mask == class_id).to(torch.uint8).masked_fill(void, VOID)


def base_labels(mask: Tensor, base_classes: Sequence[int], novel: Novel = "background") -> Tensor:
    """Labels of stage 1 from uint8 ``(..., H, W)``: 0 background, 1 + position of the base class, 255.

    Args:
        novel: classes that are no base class become 0 ("background": BAM) or 255 ("ignore": RePRI, CWT). Void stays 255
            in both; RePRI's code turns it into background by mistake.

    Raises SpecError for another ``novel``, or for base classes that are no class ids or come twice.
    """
    if novel not in get_args(Novel):
        raise SpecError(f"unknown treatment of novel classes '{novel}'.{did_you_mean(novel, get_args(Novel))}")
    if len(set(base_classes)) < len(base_classes) or not all(1 <= c < VOID for c in base_classes):
        raise SpecError(f"base classes {tuple(base_classes)}: each is a class id of 1 to {VOID - 1}, listed once")
    table = torch.full((VOID + 1,), VOID if novel == "ignore" else 0, dtype=torch.uint8)
    table[0], table[VOID] = 0, VOID
    table[list(base_classes)] = torch.arange(1, len(base_classes) + 1, dtype=torch.uint8)
    return table.to(mask.device)[mask.long()]
