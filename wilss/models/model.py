"""A student as scripts hold it: classes, colours, what it sees in images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from wilss.data.given import Picture, Pictures
from wilss.data.palette import Colour
from wilss.errors import SpecError
from wilss.models.card import CARD, StudentCard
from wilss.models.files import load_student, save_model
from wilss.models.passes import Passes
from wilss.models.predict import predict_image
from wilss.nets.segmenter import Segmenter
from wilss.outputs import writable_folder


@dataclass(frozen=True)
class Model:
    """A student that segments images.

    network: in evaluation mode; float32 ``(N, 3, H, W)`` in [0, 1] -> logits ``(N, 1 + C, h, w)``.
    card: what is known of it, normalisation and training included.
    """

    network: Segmenter
    card: StudentCard

    @classmethod
    def open(cls, folder: Path, device: torch.device) -> Model:
        """Load the student of a folder; see `wilss.models.files.load_student` for what it raises."""
        network, card = load_student(folder)
        return cls(network.to(device), card)

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
        """Write weights and card into a folder, from which `wilss.load`, ``wilss predict`` and ``--start`` take them.

        Raises SpecError where there is a model already or nothing may be written.
        """
        folder = writable_folder(Path(folder))
        if (folder / CARD).exists():
            raise SpecError(f"'{folder}' holds a model already; choose another folder")
        save_model(self.network.state_dict(), self.card, folder)
        return folder
