"""``config.json`` of a model folder: a student's card in the shape that model hubs read. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from wilss.damage import MEND as STORED
from wilss.damage import FileMark, damaged, mark_of, reading
from wilss.data.palette import Colour
from wilss.errors import FormatError
from wilss.layout import CONFIG
from wilss.outside import checked, read_json

TYPE: Final = "wilss-student"
"""What such a file calls the model; other libraries' folders have the same two file names."""
MEND = "take the folder anew, from where it came from"


class Shared(BaseModel):
    """What stands in the file beside the card, which alone says how the network is built.

    digest: of the model in the store that it was exported from; empty for one that no store holds. id2label, palette:
    class id -> name and colour, background included. activations: classes of the backbone's activations. weights: size
    and checksum of the weights. Whoever edits the file may add keys of their own.
    """

    model_config = ConfigDict(frozen=True)

    model_type: Literal["wilss-student"] = TYPE
    library_name: str = "wilss"
    wilss_version: str = ""
    digest: str = Field("", pattern="^[0-9A-Za-z]{0,64}$")
    id2label: dict[str, str] = {}
    palette: dict[str, Colour] = {}
    activations: tuple[str, ...] = ()
    weights: FileMark


def card_in(content: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The card in the content of such a file. Raises FormatError for that of another library, or without a card."""
    if content.get("model_type") != TYPE:
        raise FormatError(
            f"'{folder / CONFIG}' is of a model of type {content.get('model_type')!r:.60}, not {TYPE}: another library "
            "wrote it. Other codes' weights are brought by 'wilss models import'"
        )
    card = content.get("card")
    if not isinstance(card, dict):
        raise damaged(folder, CONFIG, "it has no card", MEND)
    return card


def shared_in(folder: Path) -> Shared | None:
    """What a model folder says beside its card; None for a folder of another kind.

    Raises FormatError for a file that cannot be read.
    """
    if not (folder / CONFIG).is_file():
        return None
    with reading(folder, CONFIG, MEND):
        return checked(Shared, read_json(folder / CONFIG, STORED), folder / CONFIG, STORED)


def require_weights(shared: Shared, path: Path) -> None:
    """Raise DamagedArtefactError for weights that are not those that the folder was written with."""
    if mark_of(path) != shared.weights:
        raise damaged(path.parent, path.name, f"it is not what {CONFIG} says of it", MEND)
