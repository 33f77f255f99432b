"""Stored models: safetensors weights and a JSON card; nothing in them is ever executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from wilss.architecture import InputCard
from wilss.errors import SpecError
from wilss.models.card import CARD, WEIGHTS, ModelCard, StudentCard, load_card, model_files
from wilss.models.config import require_weights, shared_in
from wilss.models.folder import require_activations
from wilss.nets.fit import load_into, require_fit
from wilss.nets.pretrained import Weights
from wilss.nets.segmenter import Segmenter, build_segmenter
from wilss.tensors import read_tensors


def save_model(state: Mapping[str, Tensor], card: ModelCard, folder: Path) -> None:
    """Write a network's state and its card into a staging folder."""
    save_file({name: value.contiguous() for name, value in state.items()}, folder / WEIGHTS)
    (folder / CARD).write_text(card.model_dump_json(indent=1))


def load_state(folder: Path) -> dict[str, Tensor]:
    """The tensors of a model. Raises ArtefactNotFoundError for a folder without one, DamagedArtefactError."""
    return read_tensors(model_files(folder).weights)[0]


def load_student(folder: Path, classes: tuple[str, ...] | None = None) -> tuple[Segmenter, StudentCard]:
    """Rebuild a student, in evaluation mode; it takes plain images in [0, 1].

    Args:
        classes: names that the outputs must have, in order; None accepts any.

    Raises SpecError when it knows other classes, FormatError for a folder whose files are damaged or do not fit each
    other, ArtefactNotFoundError for one without a student.
    """
    card = load_card(folder, StudentCard)
    if classes is not None and classes != card.classes:
        odd = [c for c in (*classes, *card.classes) if (c in classes) != (c in card.classes)]
        raise SpecError(
            f"checkpoint '{folder}' knows {len(card.classes)} classes, {len(classes)} are expected; first difference: "
            f"'{odd[0] if odd else 'their order'}'. Use a checkpoint of the same benchmark and step"
        )
    path, weights = model_files(folder).weights, no_weights(card.architecture.backbone, card.input)
    require_fit(lambda: build_segmenter(card.architecture, weights, card.step_sizes), path)
    model = build_segmenter(card.architecture, weights, card.step_sizes)
    if shared := shared_in(folder):
        require_weights(shared, path)
        require_activations(model.backbone, shared, folder)
    load_into(model, load_state(folder), path)
    return model.eval(), card


def no_weights(backbone: str, known: InputCard) -> Weights:
    """A backbone whose weights come from elsewhere, with the input that a card tells."""
    return Weights(backbone, None, False, "", "", known.mean, known.std, tuple(known.arguments.items()))


def input_of(weights: Weights, canvas: int) -> InputCard:
    """What a network on these weights takes."""
    return InputCard(mean=weights.mean, std=weights.std, canvas=canvas, arguments=dict(weights.arguments))
