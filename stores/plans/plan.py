"""A plan: every node of one run by name, with its recipe and its parents; made once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from stores.artefacts import Manifest, Recipe, Store
from wilss.errors import SpecError, did_you_mean


@dataclass(frozen=True)
class Node:
    """The place of one artefact in a run.

    stage: what ``--again`` calls it. step: its step, where it has one. title: what it is, for people. optional: a run
    is complete without it. given: it stands, and is never made.
    """

    name: str
    recipe: Recipe
    stage: str
    title: str
    step: int | None = None
    optional: bool = False
    given: bool = False

    @property
    def at(self) -> int:
        """The step that it is made at: 0 for the base student and the bank, which have none."""
        return self.step or 0

    def is_in(self, again: Iterable[str]) -> bool:
        """Whether it is among the stages that are to be made anew: "all", "labels" or "labels-1"."""
        return not self.given and bool({"all", self.stage, f"{self.stage}-{self.step}"} & set(again))


class Plan(Mapping[str, Node]):
    """All nodes of a run, parents first. A parent that is no node of the plan has to be in the store already."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._nodes = {node.name: node for node in nodes}

    def __getitem__(self, name: str) -> Node:
        return self._nodes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    @cached_property
    def _by_digest(self) -> dict[str, str]:
        return {node.recipe.digest: name for name, node in self._nodes.items()}

    def parents(self, name: str) -> tuple[str, ...]:
        """Names of the nodes that a node is made from."""
        digests = self[name].recipe.parent_digests.values()
        return tuple(self._by_digest[digest] for digest in digests if digest in self._by_digest)

    def standing(self, store: Store) -> dict[str, Manifest]:
        """Manifests of the nodes that a store has."""
        found = {name: store.find(node.recipe) for name, node in self._nodes.items()}
        return {name: manifest for name, manifest in found.items() if manifest}

    @property
    def stages(self) -> tuple[str, ...]:
        """Names that ``--again`` takes."""
        return _names_of(self._nodes.values())

    def stages_of(self, step: int) -> tuple[str, ...]:
        """Those of one step."""
        return _names_of(node for node in self._nodes.values() if node.at == step)


def _names_of(nodes: Iterable[Node]) -> tuple[str, ...]:
    names = ["all"]
    for node in (node for node in nodes if not node.given):
        names += [node.stage] if node.step is None else [node.stage, f"{node.stage}-{node.step}"]
    return tuple(dict.fromkeys(names))


def require_stages(again: Iterable[str], known: Iterable[str]) -> None:
    """Raise SpecError for a name that is no stage of what is about to run."""
    there = set(known)
    for name in again:
        if name not in there:
            raise SpecError(f"'{name}' is no stage that could be made again here.{did_you_mean(name, there)}")
