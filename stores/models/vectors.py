"""Vector sets beside checkpoints: ``svf.safetensors`` holds a step's factors on the singular values of its bases.

The bases are the backbone of a checkpoint of the same store; the file's own notes name it by its digest, and its
weights by their content, so that vectors never meet another U and V unnoticed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

from stores.artefacts import Store
from wilss.damage import is_stored
from wilss.errors import ArtefactNotFoundError, FormatError
from wilss.models.card import StudentCard, load_card
from wilss.models.files import load_student
from wilss.nets.vectors import Chain, weights_digest
from wilss.tensors import read_tensors

VECTORS = "svf.safetensors"
FORMAT = "1"
DIGEST = "[0-9a-f]{32}"


@dataclass(frozen=True)
class StoredVectors:
    """A vector set and where its bases are.

    vectors: layer -> g, float32 ``(G, r)``; empty for the bases themselves, where every g is 1.
    checkpoint: digest of the checkpoint whose backbone holds the bases. weights: `weights_digest` of that backbone.
    """

    vectors: dict[str, Tensor]
    checkpoint: str
    weights: str


def save_vectors(stored: StoredVectors, folder: Path) -> None:
    """Write a vector set into a staging folder."""
    notes = {"format": FORMAT, "checkpoint": stored.checkpoint, "weights": stored.weights}
    save_file({name: value.contiguous() for name, value in stored.vectors.items()}, folder / VECTORS, notes)


def load_vectors(folder: Path) -> StoredVectors | None:
    """The vector set of a checkpoint folder, None where it has none. Raises FormatError for a damaged or newer file."""
    path = folder / VECTORS
    if not is_stored(path):
        return None
    vectors, notes = read_tensors(path)
    if notes.get("format") != FORMAT or not {"checkpoint", "weights"} <= set(notes):
        raise FormatError(f"'{path}' is no vector set that this version reads; upgrade wilss, or run the step again")
    if not re.fullmatch(DIGEST, notes["checkpoint"]):
        raise FormatError(
            f"'{path}' names its bases '{notes['checkpoint'][:60]}', which is no digest; run the step again"
        )
    return StoredVectors(vectors, notes["checkpoint"], notes["weights"])


def require_vectors(folder: Path) -> StoredVectors:
    """The vector set of a checkpoint. Raises ArtefactNotFoundError that says how such checkpoints are made."""
    load_card(folder, StudentCard)
    stored = load_vectors(folder)
    if stored is None:
        raise ArtefactNotFoundError(
            f"checkpoint '{folder}' has no vector set ({VECTORS}): a step t >= 1 keeps one when it is tuned by its "
            "singular values, --set step.tuning=svf"
        )
    return stored


def bases_folder(stored: StoredVectors, store: Store) -> Path:
    """Folder of the checkpoint that holds the bases. Raises ArtefactNotFoundError when the store has it not."""
    folder = store.path("checkpoints", stored.checkpoint)
    if not folder.is_dir():
        raise ArtefactNotFoundError(
            f"the vectors belong to the backbone of checkpoint {stored.checkpoint[:12]}, which is not in "
            f"'{store.root}'; name the store that has it with --root"
        )
    return folder


def load_bases(stored: StoredVectors, store: Store) -> nn.Module:
    """The plain backbone that holds U, S and V. Raises FormatError when its weights are not those of the training."""
    folder = bases_folder(stored, store)
    backbone = load_student(folder)[0].backbone
    if weights_digest(backbone.state_dict()) != stored.weights:
        raise FormatError(
            f"checkpoint '{folder}' has other weights than when its vectors were trained (was it trained again on "
            "another machine?); delete the checkpoints of the steps after it and run them again"
        )
    return backbone


def open_chain(previous: str, backbone: nn.Module, store: Store) -> tuple[StoredVectors, Chain | None]:
    """What a step t >= 1 that is tuned by its singular values goes on from.

    Args:
        previous: digest of the checkpoint of the step before. backbone: its plain backbone.

    Returns:
        The vectors of the step before with their bases, and the chain; without vectors the step before becomes the
        bases itself, and there is no chain yet.
    """
    stored = load_vectors(store.path("checkpoints", previous))
    if stored is None:
        return StoredVectors({}, previous, weights_digest(backbone.state_dict())), None
    return stored, Chain(load_bases(stored, store), stored.vectors)
