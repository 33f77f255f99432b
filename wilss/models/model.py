"""A student as scripts hold it: classes, colours, what it sees in images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, overload

import numpy as np
import torch
from huggingface_hub import ModelHubMixin, snapshot_download
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from wilss.damage import place_of
from wilss.data.given import Picture, Pictures
from wilss.data.palette import Colour
from wilss.device import require_device
from wilss.errors import SpecError
from wilss.layout import CONFIG
from wilss.models.card import READ, WEIGHTS, StudentCard
from wilss.models.config import shared_in
from wilss.models.files import load_student
from wilss.models.folder import Provenance, write_folder
from wilss.models.passes import Passes
from wilss.models.predict import predict_image
from wilss.nets.segmenter import Segmenter
from wilss.outputs import writable_folder


@dataclass(frozen=True)
class Model(ModelHubMixin):
    """A student that segments images.

    `from_pretrained`, `save_pretrained` and `push_to_hub` are huggingface_hub's; a folder does as well as a hub.

    network: in evaluation mode; float32 ``(N, 3, H, W)`` in [0, 1] -> logits ``(N, 1 + C, h, w)``.
    card: what is known of it, normalisation and training included. digest: in the store that it is from, else "".
    """

    network: Segmenter
    card: StudentCard
    digest: str = ""
    _hub_mixin_config: ClassVar[dict[str, str]] = {"library_name": "wilss"}  # type: ignore[misc]  # never set

    @classmethod
    def open(cls, folder: Path, device: torch.device) -> Model:
        """Load the student of a folder; see `wilss.models.files.load_student` for what it raises."""
        network, card = load_student(folder)
        place, shared = place_of(folder), shared_in(folder)
        digest = place.digest if place else shared.digest if shared else ""
        return cls(network.to(device), card, digest)

    @property
    def classes(self) -> dict[int, str]:
        """Class id -> name; 0 is "background"."""
        return {0: "background", **dict(zip(self.card.class_ids, self.card.classes, strict=True))}

    @property
    def palette(self) -> dict[int, Colour]:
        """Class id -> red, green, blue; background is black."""
        return {0: (0, 0, 0), **self.card.colour_of}

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, images: str | Path | Image.Image, *, tta: bool = ..., window: int | None = ..., overlap: float = ...
    ) -> Tensor: ...
    @overload
    def predict(
        self, images: NDArray[np.generic] | Tensor, *, tta: bool = ..., window: int | None = ..., overlap: float = ...
    ) -> Tensor: ...
    @overload
    def predict(
        self, images: Sequence[Picture], *, tta: bool = ..., window: int | None = ..., overlap: float = ...
    ) -> list[Tensor]: ...
    def predict(
        self,
        images: Picture | Sequence[Picture],
        *,
        tta: bool = False,
        window: int | None = None,
        overlap: float = 0.25,
    ) -> Tensor | list[Tensor]:
        """Class ids of every pixel, uint8 ``(H, W)`` on the CPU, at the image's own size; as ``wilss predict``.

        Images go through the network one by one, shrunk to the canvas of the training if they are larger; at full
        size a few bytes a pixel are needed, however many classes there are.

        Args:
            images: a path, a Pillow image, an array ``(H, W, 3)`` or a tensor ``(3, H, W)``, uint8 or float in [0, 1];
                a list of any of them gives a list; a batch of one more axis, ``(N, ...)``, gives ``(N, H, W)``.
            tta: look at three scales, each as it is and mirrored, and average the probabilities.
            window: side in pixels of windows that slide over the image at full size, instead of shrinking it.
            overlap: share of a window that its neighbour sees too, from 0 to 0.9.

        Raises DataNotFoundError or DataError for what is no image, SpecError for a window or overlap out of range.
        """
        pictures = Pictures.of(images)
        passes = Passes(tta, window, overlap)
        found = [predict_image(self.network, self.card, pictures.image(image_id), passes) for image_id in pictures.ids]
        if pictures.form == "one":
            return found[0]
        return torch.stack(found) if pictures.form == "batch" else found

    def save(self, folder: str | Path) -> Path:
        """Write a model folder, from which `wilss.load`, ``wilss predict`` and ``--start`` take it.

        Unlike `save_pretrained` it replaces nothing. Raises SpecError where there is a model already or nothing may be
        written.
        """
        folder = writable_folder(Path(folder))
        if any((folder / name).exists() for name in READ):
            raise SpecError(f"'{folder}' holds a model already; choose another folder")
        self._save_pretrained(folder)
        return folder

    def _save_pretrained(self, save_directory: Path) -> None:
        write_folder(self.network, self.card, save_directory, Provenance(self.digest))

    @classmethod
    def _from_pretrained(cls, *, model_id: str, device: str = "auto", **given: Any) -> Model:
        """The model of a folder, else of a hub.

        Args:
            given: how a hub is asked; ``config.json``, which the caller has read, is read again with the model.
        """
        asked = {key: given[key] for key in ("revision", "cache_dir", "force_download", "local_files_only", "token")}
        local = Path(model_id)
        folder = (
            local if local.is_dir() else Path(snapshot_download(model_id, allow_patterns=[CONFIG, WEIGHTS], **asked))
        )
        return cls.open(folder, require_device(device))
