"""One opened incremental run: specification, data, plan, store and device; it lives as long as its flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from stores.artefacts import ArtefactRef
from stores.labels.origin import words_in
from stores.models.start import MARK, fewshot_backbone
from stores.plans.fitting import with_fitting_sizes
from stores.plans.given import GivenStudent, with_named_models
from stores.plans.incremental import Ingredients, plan_incremental
from stores.plans.plan import Node, Plan
from stores.plans.reviewed import with_chosen_labels
from stores.plans.session import Session
from wilss.data.images import TaggedImages
from wilss.data.learnt_from import came_since, folder_of, newcomers
from wilss.data.steps import StepLists
from wilss.errors import ArtefactNotFoundError, SpecError
from wilss.foundation.choose import choose_scorer
from wilss.foundation.spec import AUTO, FoundationSpec
from wilss.foundation.vocabulary import Words
from wilss.foundation.zoo import require_known
from wilss.models.card import StudentCard, load_card
from wilss.models.files import no_weights
from wilss.models.lookup import model_folder
from wilss.nets.pretrained import Weights, find_weights
from wilss.parallel.ranks import require_even
from wilss.protocol import Benchmark
from wilss.spec import RunSpec


class Run:
    """An incremental run that is ready to be built.

    benchmark: as asked for. lists: the data cut into the steps that are trained, a single one for a method that learns
    all classes at once. weights: of the backbone, and how its input is normalised. start: checkpoint folder that is
    taken for step 0; its network replaces ``spec.student``. given: student that stands for a step and those before it;
    likewise. The spec's ``labels`` are resolved to ``label_sets``, and aliases to digests.

    Opening raises DataNotFoundError, DataError, SpecError or WeightsNotFoundError before anything is computed.
    """

    def __init__(self, spec: RunSpec, session: Session) -> None:
        self.session, self.settings = session, session.settings
        self.store, self.device = session.store, session.device
        self.benchmark = spec.protocol
        spec = with_named_models(spec, self.store, self._say_once)
        self.start = model_folder(spec.start, self.store.root) if spec.start else None
        self.given = GivenStudent.of(spec, self.store)
        self.spec, self.weights = self._network(spec)
        self.source = session.source(self.benchmark.family, self.benchmark.steps[0], spec.custom, spec.data)
        protocol = self.benchmark.merged() if spec.merged else self.benchmark
        room, buffer, training = self.session.room, spec.data.shuffle_buffer, session.training_list(self.source)
        cut = StepLists(self.source, training, protocol, spec.scenario, room=room, buffer=buffer)
        self.lists = self._of_its_time(cut)
        self.spec = self._with_scorer(self.spec)
        if self.spec.data.fit:
            card = self.given.card if self.given else load_card(self.start, StudentCard) if self.start else None
            masked = (self.lists.of(self.benchmark).ids(0), self.benchmark.steps[0])  # also where steps are merged
            self.spec = with_fitting_sizes(self.spec, session, self.source, masked, card)
        self.spec = with_chosen_labels(self.spec, self.store, lambda: plan_incremental(self._made_of()), self._say_once)
        self._require_even_batches()

    def _require_even_batches(self) -> None:
        """Raise SpecError where a training has batches that the devices cannot share."""
        base = self.spec.base if self.start is None and self.given is None else None
        for name, train in (("base", base), ("step", self.spec.step if self.last_step else None)):
            if train is not None:
                require_even(f"{name}.batch_size", train.batch_size, len(self.session.devices))

    def _of_its_time(self, lists: StepLists) -> StepLists:
        """Steps that are learnt keep their photographs when others come with a later step; that is said once."""
        if self.notes is None:
            return lists
        came = list(came_since(self.notes, lists))
        for step, note, ids in came:
            self.session.once((note, "said"), partial(self.session.say, str(newcomers(step, note, ids))))
        return replace(lists, later={step: ids for step, _, ids in came})

    @property
    def notes(self) -> Path | None:
        """Where it is noted what the steps of this folder learnt from; None for data that do not grow."""
        return folder_of(self.store.root, self.settings.data) if self.spec.custom and self.settings.data else None

    def _say_once(self, text: str) -> None:
        self.session.once((text, "said"), partial(self.session.say, text))

    def _network(self, spec: RunSpec) -> tuple[RunSpec, Weights]:
        """The specification with the student that is really trained, and what its backbone starts from."""
        student = spec.student
        if self.given:
            return spec.model_copy(update={"student": self.given.card.architecture}), self.given.weights()
        if self.start:
            card = load_card(self.start, StudentCard)
            network = card.architecture
            return spec.model_copy(update={"student": network}), no_weights(network.backbone, card.input)
        if student.weights.startswith(MARK):
            return spec, fewshot_backbone(
                student.weights, student.backbone, self.store, self.benchmark, spec.scenario, spec.data
            )
        return spec, find_weights(student.backbone, student.weights, self.settings.weights)

    @property
    def protocol(self) -> Benchmark:
        """The steps that are trained."""
        return self.lists.protocol

    @property
    def last_step(self) -> int:
        """Number of the last step that is trained."""
        return len(self.protocol.steps) - 1

    @property
    def first_step(self) -> int:
        """The step whose student all others are built upon: 0, or that of the student that is given."""
        return self.given.step if self.given else 0

    def _with_scorer(self, spec: RunSpec) -> RunSpec:
        """The specification with the scorer that was chosen for its words, where it leaves that open."""
        if spec.foundation.scorer != AUTO or not spec.uses_labels:
            return spec
        words = {name: self.prompts[name] for name in self.names(tuple(c for s in self.benchmark.steps[1:] for c in s))}
        scorer, why = choose_scorer(spec.foundation, words, self.settings.weights)
        self._say_once(why)
        return spec.model_copy(update={"foundation": spec.foundation.model_copy(update={"scorer": scorer})})

    @cached_property
    def vocabulary(self) -> Words:
        """The words of all classes and of what is around; background words that were dropped are said."""
        found = words_in(self.spec, self.source)
        if found.background.sentence:
            self._say_once(found.background.sentence)
        return found

    @property
    def prompts(self) -> Mapping[str, tuple[str, ...]]:
        """The ontology: the data's, with what the benchmark's file says instead."""
        return self.vocabulary.classes

    @cached_property
    def foundation(self) -> FoundationSpec:
        """The settings of scorer and grouper, with the background words that the benchmark's classes leave."""
        return self.vocabulary.settings(self.spec.foundation)

    @cached_property
    def ingredients(self) -> Ingredients:
        """What the recipes are made of."""
        return self._made_of()

    def _made_of(self) -> Ingredients:
        given = {step: self.store.get("labels", digest).ref for step, digest in self.spec.label_sets.items()}
        facts = (self.spec, self.benchmark, self.lists, self.weights.digest, self.start, self.prompts)
        return Ingredients(*facts, self._models, given, self.given)

    @cached_property
    def plan(self) -> Plan:
        """Every node of the run."""
        return plan_incremental(self.ingredients)

    def _models(self) -> tuple[str, str]:
        foundation = self.foundation
        return self.session.scorer(foundation).digest, self.session.grouper(foundation).digest

    def names(self, classes: tuple[int, ...]) -> tuple[str, ...]:
        """Class names by id."""
        return tuple(self.source.classes[c - 1] for c in classes)

    def class_names(self, step: int) -> tuple[str, ...]:
        """Names of the classes known after a step, in channel order."""
        return self.names(self.protocol.seen(step))

    def node(self, stage: str, step: int) -> Node:
        """A node of a step. Raises SpecError for a step that the run does not have."""
        if not 0 <= step <= self.last_step:
            raise SpecError(f"{self.protocol.name} has no step {step}; its steps are 0 to {self.last_step}")
        if step < self.first_step:
            raise SpecError(
                f"step {step} is no part of this run, which starts from a student of step {self.first_step}"
            )
        return self.plan[f"{stage} {step}"]

    def labels_of(self, step: int) -> ArtefactRef | None:
        """The label set that a step learns from; None for a method that takes none."""
        labels = self.node("checkpoint", step).recipe.parents.get("labels")
        return ArtefactRef(kind=labels.kind, digest=labels.digest) if labels else None

    def require(self, node: Node) -> ArtefactRef:
        """The reference of a node that has to be there. Raises ArtefactNotFoundError that says how to make it."""
        found = self.store.find(node.recipe)
        if found is None:
            name = self.protocol.name
            whole = f"wilss run with the YAML file of '{name}'" if self.spec.custom else f"wilss run {name}"
            raise ArtefactNotFoundError(
                f"the {node.title} ({node.recipe.kind} {node.recipe.digest[:12]}) does not exist in "
                f"'{self.store.root}'; run the step before with the same options first, or the whole benchmark: {whole}"
            )
        return found.ref

    def before(self, step: int) -> list[Node]:
        """Everything that a step starts from: earlier students, what they scored, the bank. Raises as `node` does.

        Where a student is given, what comes with it is made where it is missing (`opening`), so that it is left out.
        """
        self.node("checkpoint", step)
        if self.given and step == self.first_step:
            raise SpecError(
                f"step {step} is not learnt here: the run starts from a student that knows it; "
                + (f"learn step {step + 1}" if step < self.last_step else "name an earlier student to learn it again")
            )
        first = self.first_step + 1 if self.given else 0
        bank = [self.plan["memory bank"]] if step and "memory bank" in self.plan and not self.given else []
        return [self.node(name, at) for at in range(first, step) for name in ("checkpoint", "evaluation")] + bank

    @property
    def opening(self) -> tuple[str, ...]:
        """Names of the nodes that every step of a run from a given student begins with; none for another run."""
        names = (f"checkpoint {self.first_step}", "memory bank", f"evaluation {self.first_step}")
        return tuple(name for name in names if name in self.plan) if self.given else ()

    def learns(self, step: int) -> bool:
        """Whether a step is one of those that the run learns."""
        return (self.first_step < step if self.given else step >= 0) and step <= self.last_step

    def words(self, classes: tuple[int, ...]) -> list[tuple[str, ...]]:
        """Words for the scorer, class by class."""
        return [self.prompts[name] for name in self.names(classes)]

    def tagged(self, step: int) -> TaggedImages:
        """Images and tags of step t >= 1; labelling and learning a step decode its images once."""
        canvas = self.spec.data.canvas
        key = (id(self.source), self.lists.ids(step), self.protocol.steps[step], canvas)
        return self.session.latest(key, lambda: self.lists.tagged(step, canvas))

    def stands(self, last_step: int) -> bool:
        """Whether everything up to a step is there."""
        nodes = [node for node in self.plan.values() if node.at <= last_step and not node.optional]
        return all(self.session.standing(node) is not None for node in nodes)

    def check_words(self, step: int) -> None:
        """Raise SpecError before any labelling when the scorer cannot know one of the step's classes."""
        names = self.names(self.protocol.steps[step])
        require_known(self.session.scorer(self.foundation), {name: self.prompts[name] for name in names})
