"""What one flow has opened: store, data and foundation models; its runs share them, and it ends with the flow."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast
from uuid import uuid4

from stores.artefacts import Anew, ArtefactRef, Manifest, Recipe, Store
from stores.in_use import using
from stores.plans.plan import Node, Plan
from stores.progress import say, starter
from wilss.custom import CustomBenchmark
from wilss.data.families import open_source
from wilss.data.gate import examine, lines_of, require_sound
from wilss.data.listing import TaggedList
from wilss.data.room import Room, quarter_of_memory
from wilss.data.source import Source
from wilss.data.spec import DataSpec
from wilss.device import require_device, require_devices
from wilss.errors import DamagedArtefactError, TornStateError
from wilss.foundation.contracts import Grouper, Scorer
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.outputs import empty
from wilss.parallel.ranks import here
from wilss.settings import Settings

T = TypeVar("T")


class StageNote(NamedTuple):
    """What became of a node. title: what it is. seconds: that making it took; None for one that was found."""

    title: str
    told: str
    seconds: float | None = None


class Session:
    """Data and models that the runs of one flow share. Open a new one to see what lies on the disk today.

    Opening raises SpecError for devices that this machine does not have.

    Args:
        say: takes one line for people. anew: `Session.anew` of the session that this one is a part of.

    started_by: who or what started the flow, in words; "" where nobody tells. stages: what became of the nodes that
    were asked for, by digest. several: its runs have to be told from each other. devices: that share its trainings.
    """

    several = False

    def __init__(
        self, settings: Settings, say: Callable[[str], None] = say, anew: Mapping[str, Anew] | None = None
    ) -> None:
        self.settings, self.say, self.started_by = settings, say, starter()
        self.stages: dict[str, StageNote] = {}
        self.store = Store(settings.root)
        self.device = require_device(settings.device)
        self.devices = require_devices(settings.device, settings.devices)
        room, within = settings.room or quarter_of_memory(), settings.memory_bytes
        self.room = Room(room // here().count, within and within // here().count)
        self._opened: dict[Hashable, Any] = {}
        self._latest: tuple[Hashable, Any] | None = None
        self._anew: dict[str, Anew] = dict(anew or {})

    @property
    def anew(self) -> dict[str, Anew]:
        """What is made anew although it is there, by digest."""
        return dict(self._anew)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What was made for a key in this session, or is made now."""
        if key not in self._opened:
            self._opened[key] = make()
        return cast(T, self._opened[key])

    def latest(self, key: Hashable, make: Callable[[], T]) -> T:
        """The same for what takes memory: what was made for another key is let go."""
        if self._latest is None or self._latest[0] != key:
            self._latest = key, make()
        return cast(T, self._latest[1])

    def source(self, family: str, base: tuple[int, ...], custom: CustomBenchmark | None, data: DataSpec) -> Source:
        """A data set; runs that differ in other things share it, with its lists, annotations and decoded files."""
        key = ("source", family, base, custom, data)
        return self.once(key, lambda: open_source(family, data, self.settings, base, custom))

    def training_list(self, source: Source) -> TaggedList:
        """The training images of a data set and their tags."""
        return self.once(("training list", id(source)), lambda: TaggedList.of(source))

    def check(self, source: Source) -> None:
        """Look over a data set once, and say what is found. Raises DataError where something refuses it."""
        self.once(("checked", id(source)), lambda: self._check(source))

    def _check(self, source: Source) -> bool:
        findings = examine(source)
        for line in lines_of([finding for finding in findings if finding.severity != "refuse"]):
            self.say(line)
        require_sound(findings)
        if source.skipped:
            self.say(f"left out {source.skipped} unreadable images")
        return True

    def scorer(self, spec: FoundationSpec) -> Scorer:
        """The scorer of a specification."""
        facts = spec, self.settings.weights, str(self.device), lambda: self.grouper(spec)
        return self.once(("scorer", spec), lambda: build_scorer(*facts))

    def grouper(self, spec: FoundationSpec) -> Grouper:
        """The grouper of a specification."""
        return self.once(("grouper", spec), lambda: build_grouper(spec, self.settings.weights, str(self.device)))

    def standing(self, node: Node) -> Manifest | None:
        """What the store has of a node; None while it is to be made, or to be made anew.

        What ``--again`` names is made anew once a session, and so is what is built upon it. What is damaged is said,
        and made again. Raises DamagedArtefactError for a damaged one that is given, which nothing makes.
        """
        if node.given:
            return self.store.find(node.recipe)
        found, digest = self._sound(node), node.recipe.digest
        again = node.is_in(self.settings.again) or self._anew.keys() & set(node.recipe.parent_digests.values())
        if again and digest not in self._anew:
            self._anew[digest] = Anew(uuid4().hex, found.created if found else None)
        return None if found and digest in self._anew and self._anew[digest].replaces == found.created else found

    def _sound(self, node: Node) -> Manifest | None:
        try:
            return self.store.find(node.recipe)
        except DamagedArtefactError as error:
            said = f"{node.title}: {error.fault}; made again"
            self.once(("damaged", node.recipe.digest), lambda: self.say(said))
            return None

    def mending(self, plans: Iterable[Plan], make: Callable[[], T]) -> T:
        """What ``make`` returns; it is called again after it met an artefact of these plans whose content is damaged.

        That is said and moved out of the way, so that ``make`` builds it once more. Raises DamagedArtefactError for
        what no plan makes, and where an artefact is damaged twice.
        """
        with using(self.store.root):
            return self._mending(plans, make)

    def _mending(self, plans: Iterable[Plan], make: Callable[[], T]) -> T:
        for kept in (node for plan in plans for node in plan.values() if node.optional):
            if self.store.was_set_aside(kept.recipe) and self._sound(kept) is None:
                self._with_maker(kept)
        nodes = {
            self.store.path(n.recipe.kind, n.recipe.digest): n for plan in plans for n in plan.values() if not n.given
        }
        while True:
            try:
                return make()
            except DamagedArtefactError as error:
                node = nodes.pop(error.folder, None)
                if node is None:
                    raise
                self.say(f"{node.title}: {error.fault}; made again")
                if self.store.set_aside(node.recipe, error.file):
                    self._with_maker(node)

    def _with_maker(self, node: Node) -> None:
        """A teacher's masks are made while its student is trained: where they are lost, that is trained again."""
        teacher = node.recipe.parents.get("teacher")
        if isinstance(teacher, Recipe) and self.store.find(teacher) is not None:
            self.say(f"{node.title}: lost; what makes them is trained again")
            self.store.set_aside(teacher)

    def found(self, node: Node) -> ArtefactRef | None:
        """Reference to a node that stands, which is said; None for one that is to be made."""
        manifest = self.standing(node)
        if manifest is None:
            return None
        told = f"found, made {ago(manifest.created)}"
        self.stages.setdefault(node.recipe.digest, StageNote(node.title, told))
        self.say(f"{node.title}: {told}")
        return manifest.ref

    def obtain(self, node: Node, make: Callable[[Path], Manifest]) -> ArtefactRef:
        """A node's artefact: found, made by another process while this one waits, or made here.

        Args:
            make: fills the staging folder that it is given, and publishes it; where a training in it cannot be gone on
                with, that is said, and the folder is emptied for another call.
        """
        if found := self.found(node):
            return found
        with self.build(node.recipe) as folder:
            if found := self.found(node):
                return found
            try:
                return make(folder).ref
            except TornStateError as error:
                self.say(f"{node.title}: {error}; training from the start")
                empty(folder)
                return make(folder).ref

    @contextmanager
    def build(self, recipe: Recipe, part: str = "") -> Iterator[Path]:
        """`Store.build` that waits for another process, and says so; look for the artefact again inside.

        Args:
            part: of the artefact, where several builders share its staging folder.
        """
        with self.store.build(recipe, self._waiting(recipe, part), self._anew.get(recipe.digest), part) as folder:
            yield folder

    def alone(self, recipe: Recipe) -> AbstractContextManager[None]:
        """`Store.alone` that waits for another process, and says so; look for the artefact again inside."""
        return self.store.alone(recipe, self._waiting(recipe))

    def _waiting(self, recipe: Recipe, part: str = "") -> Callable[[], None]:
        def say_so() -> None:
            self.say(
                f"another process is building {recipe.kind} {recipe.digest[:12]}{part and f', {part}'}; waiting for it"
            )

        return say_so


def ago(created: str) -> str:
    """The age of an artefact in words: "3 days ago"."""
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(created).astimezone(UTC)).total_seconds()
    except ValueError:
        return created
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if count := int(seconds // length):
            return f"{count} {unit}{'s' if count > 1 else ''} ago" if count > 0 else created
    return "just now"
