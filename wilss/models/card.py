"""The card of a stored model: what is needed to build it again, to feed it, and to name its outputs.

It lies beside the weights. It may come from others: it names no file that is opened. Imports no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wilss.architecture import MOST_CLASSES, Count, InputCard
from wilss.damage import MEND, damaged, is_at_hand, marks_in, read_stored_json, reading, require_sizes
from wilss.data.palette import Colour, voc_colour
from wilss.errors import ArtefactNotFoundError
from wilss.layout import CONFIG
from wilss.models.card_format1 import ABOUT, INDEX, of_about, of_index
from wilss.models.config import card_in
from wilss.nets.spec import StudentSpec
from wilss.outside import checked, require_format

FORMAT: Final = 2
"""Of the cards that are written; format 1 had other files, see `wilss.models.card_format1`."""
WEIGHTS, CARD = "model.safetensors", "card.json"
READ = {CARD: WEIGHTS, CONFIG: WEIGHTS, INDEX: "student.safetensors", ABOUT: WEIGHTS}
"""Names of cards that can be read -> of the weights beside them."""
FewShotKind = Literal["few-shot", "stage 1", "silhouettes"]


class ModelCard(BaseModel):
    """What all stored models have.

    classes: names of the classes that it was trained on, in the order of its channels. class_ids: theirs in the data.
    colours: for label maps of these ids, VOC's unless told. history: mean losses of every epoch. start: the pretrained
    weights that its backbone goes back to, as `wilss.nets.pretrained.Weights.digest` tells them. licence: of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    noun: ClassVar[str] = "model"

    format: Literal[2] = FORMAT
    kind: str
    input: InputCard
    benchmark: str
    classes: tuple[str, ...] = Field(max_length=MOST_CLASSES)
    class_ids: tuple[Count, ...] = Field(max_length=MOST_CLASSES)
    colours: tuple[Colour, ...] = Field(
        default_factory=lambda known: tuple(voc_colour(k) for k in known.get("class_ids", ())), max_length=MOST_CLASSES
    )
    history: list[dict[str, float]] = []
    start: str | None = None
    licence: str | None = None

    @model_validator(mode="after")
    def _one_colour_an_id(self) -> ModelCard:
        if len(self.colours) != len(self.class_ids):
            raise ValueError(f"{len(self.colours)} colours for {len(self.class_ids)} class ids; each has one")
        return self

    @property
    def colour_of(self) -> dict[int, Colour]:
        """Class id -> colour."""
        return dict(zip(self.class_ids, self.colours, strict=True))


class StudentCard(ModelCard):
    """Of an incremental student after a step."""

    noun: ClassVar[str] = "student"

    kind: Literal["student"] = "student"
    architecture: StudentSpec
    step: int = Field(ge=0)
    step_sizes: tuple[Count, ...] = Field(min_length=1, max_length=MOST_CLASSES)

    @model_validator(mode="after")
    def _one_output_a_class(self) -> StudentCard:
        told = (self.classes, set(self.classes), self.class_ids, set(self.class_ids))
        counts = {sum(self.step_sizes), *map(len, told)}
        if len(counts) > 1 or max(counts) > MOST_CLASSES:
            raise ValueError(
                f"{sum(self.step_sizes)} outputs, {len(set(self.classes))} class names and {len(set(self.class_ids))} "
                "ids; "
                f"every output has a name and an id of its own, and there are at most {MOST_CLASSES}"
            )
        return self


class FewShotCard(ModelCard):
    """Of a few-shot model, or a stage before it.

    architecture: plain data of `wilss.fewshot.spec.make_fewshot_spec`. fold: in words; None of silhouettes, which
    belong to none, and whose classes have no names. class_ids: not told by format 1.
    """

    noun: ClassVar[str] = "few-shot model"

    kind: FewShotKind
    architecture: dict[str, Any]
    fold: str | None = None


class ModelFiles(NamedTuple):
    """Where a stored model lies."""

    weights: Path
    card: Path


C = TypeVar("C", bound=ModelCard)


def model_files(folder: Path, noun: str = ModelCard.noun) -> ModelFiles:
    """The files of a model, of any format. Raises ArtefactNotFoundError, with the noun, for a folder without them."""
    found = _files(folder, noun)
    is_at_hand(found.weights)
    return found


def _files(folder: Path, noun: str) -> ModelFiles:
    """The same; the weights of one whose bucket has them need not be there."""
    for card, weights in READ.items():
        found = ModelFiles(folder / weights, folder / card)
        if is_at_hand(found.weights, comes=False) and is_at_hand(found.card):
            return found
    require_sizes(folder, marks_in(folder))  # one of them may be gone
    raise ArtefactNotFoundError(
        f"'{folder}' holds no {noun} ({CARD} or {CONFIG}, and {WEIGHTS}); name a folder that does, or take it anew"
    )


def load_card(folder: Path, of: type[C]) -> C:
    """Read the card of a model.

    Args:
        of: the kind that is wanted; `ModelCard` takes any.

    Raises ArtefactNotFoundError when the folder holds none of it, FormatError for one that this version cannot read.
    """
    card = _read(folder, _files(folder, of.noun).card)
    if not isinstance(card, of):
        raise ArtefactNotFoundError(f"'{folder}' holds a {card.noun}, no {of.noun}; name another folder")
    return card


def _read(folder: Path, path: Path) -> ModelCard:
    content = read_stored_json(path)
    if not isinstance(content, dict):
        raise damaged(folder, path.name, "it is no mapping")
    if path.name == CONFIG:
        content = card_in(content, folder)
    elif path.name == INDEX:
        content = of_index(content)
    elif path.name == ABOUT:
        content = of_about(content, folder)
    require_format(content, path, FORMAT)
    kind = StudentCard if content.get("kind") == "student" else FewShotCard
    with reading(folder, path.name):
        return checked(kind, content, path, MEND)
