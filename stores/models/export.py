"""A student in a folder of its own: for wilss, for hubs, and as a graph for other programs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from stores.models.graphs import Wanted, write_graphs
from stores.models.pictures import pictures_for
from stores.models.provenance import provenance_of
from wilss.errors import SpecError
from wilss.models.folder import write_folder
from wilss.models.lookup import model_folder
from wilss.models.model import Model
from wilss.models.parity import Parity
from wilss.outputs import whole_file, writable_folder


@dataclass(frozen=True)
class Exported:
    """The folder, and how far each graph in it is from its origin, by file name."""

    folder: Path
    parity: dict[str, Parity]


def export_model(name: str, root: Path, to: Path, wanted: Wanted) -> Exported:
    """Write a model folder, which `wilss.load`, ``wilss predict`` and ``--start`` take, with the graph that is wanted.

    The model is held against its checksums while it is read. A step that tuned singular values leaves plain weights.

    Args:
        name: see `wilss.models.lookup.model_folder`. to: folder that does not exist.

    Raises SpecError where something is there already or nothing can be written, DataError for a picture that cannot be
    read, DamagedArtefactError for a model that is not as it was written, StorageError for a disk that takes no more.
    Then nothing is left.
    """
    if os.path.lexists(to):
        raise SpecError(f"'{to}' is there already and is not replaced; name a folder that does not exist")
    wanted.check()
    folder = model_folder(name, root)
    model = Model.open(folder, torch.device("cpu"))
    pictures = pictures_for(wanted.pictures, wanted.masks) if wanted.has_graph else []
    writable_folder(to.parent)
    with whole_file(to, shared=True) as partial:
        partial.mkdir(exist_ok=True)
        write_folder(model.network, model.card, partial, provenance_of(folder))
        parity = write_graphs(model, partial, wanted, pictures) if wanted.has_graph else {}
    return Exported(to, parity)
