"""A few-shot head on pictures of one's own: some with the mask of an object, others in which it is looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wilss.data.given import Picture, Pictures, picture
from wilss.data.source import Source
from wilss.errors import DataError, SpecError
from wilss.fewshot.episodes.canvas import canvas_labels
from wilss.fewshot.episodes.draw import Episode
from wilss.fewshot.model import FewShotModel
from wilss.fewshot.own_masks import Mask, object_in, read_mask_of
from wilss.fewshot.predict import predict_episodes
from wilss.fewshot.spec import FewShotSpec

MOST_SUPPORTS = 20
QUERY = "the query"


@dataclass(frozen=True)
class Support:
    """An image uint8 ``(3, H, W)`` with its object, uint8 ``(H, W)``: 1 the object, 0 not, 255 left out."""

    name: str
    image: Tensor
    mask: Tensor


@dataclass(frozen=True)
class FewShotSegmenter:
    """A trained head, its backbone and what it was trained with.

    network: in evaluation mode.
    """

    network: FewShotModel
    spec: FewShotSpec

    @property
    def only_shots(self) -> int | None:
        """The one number of supports that the head can take; None where it takes any."""
        shots = getattr(self.network.head, "shots", None)
        return shots if isinstance(shots, int) else None

    def predict(
        self,
        supports: Sequence[tuple[Picture, str | Path | NDArray[Any] | Tensor]],
        queries: Picture | Sequence[Picture],
        object_id: int | None = None,
    ) -> Tensor | list[Tensor]:
        """Find the object of the supports in the queries; bool ``(H, W)`` on the CPU, each at the query's own size.

        Args:
            supports: images, each with its mask: a file, or an array or tensor ``(H, W)`` of the image's size; what is
                not 0 is the object.
            queries: one image, or a list or batch of them; see `wilss.models.model.Model.predict`.
            object_id: the value in the masks that is meant, where they show several objects.

        Raises DataError for masks that are empty or of another size, SpecError for a number of supports that the head
        cannot take, DataNotFoundError for missing files.
        """
        known = self.supports(supports, object_id)
        pictures = Pictures.of(queries)
        found = [self.find(known, pictures.image(name)) for name in pictures.ids]
        if pictures.form == "one":
            return found[0]
        return torch.stack(found) if pictures.form == "batch" else found

    def supports(
        self, given: Sequence[tuple[Picture, str | Path | NDArray[Any] | Tensor]], object_id: int | None = None
    ) -> list[Support]:
        """Supports, read and looked at; see `predict`."""
        self._require_number(len(given))
        known = []
        for number, (image, mask) in enumerate(given, 1):
            name = str(image) if isinstance(image, str | Path) else f"support {number}"
            pixels = picture(image)
            values = read_mask_of(name, image, mask) if isinstance(mask, str | Path) else _values(name, pixels, mask)
            support = Support(name, pixels, torch.from_numpy(object_in(values, object_id)))
            self._require_visible(support)
            known.append(support)
        return known

    def find(self, supports: Sequence[Support], query: Tensor) -> Tensor:
        """The object in one image uint8 ``(3, H, W)``; bool ``(H, W)`` on the CPU. supports: of `supports`."""
        names = [str(number) for number in range(len(supports))]
        empty = torch.zeros(query.shape[1:], dtype=torch.uint8)
        images = dict(zip(names, (one.image for one in supports), strict=True)) | {QUERY: query}
        masks = dict(zip(names, (one.mask for one in supports), strict=True)) | {QUERY: empty}
        spec = self.spec.model_copy(update={"shots": len(names), "resolution": self._resolution})
        source = cast(Source, _Given(images, masks))
        (found,) = predict_episodes(self.network, spec, source, [Episode(QUERY, 1, tuple(names))], ())
        return found.found

    @property
    def _resolution(self) -> str:
        """Masks come at the query's size, whatever the head was scored at."""
        return "legacy" if self.spec.resolution == "legacy" else "original"

    def _require_number(self, count: int) -> None:
        only = self.only_shots
        if not 1 <= count <= MOST_SUPPORTS:
            raise SpecError(f"{count} supports are given; a head takes 1 to {MOST_SUPPORTS}")
        if only is not None and count != only:
            raise SpecError(
                f"this head ({self.spec.head}) was made for {only} support(s), and {count} are given; give {only}, or "
                f"train one with --shots {count}"
            )

    def _require_visible(self, support: Support) -> None:
        fitted = canvas_labels([support.mask], self.spec.size, self.spec.resolution == "legacy")
        if not bool((fitted == 1).any()):
            area = int((support.mask == 1).sum())
            raise DataError(
                f"the object of '{support.name}' has {area} pixels, and none is left where the image is shrunk to "
                f"{self.spec.size}; cut a smaller image around it"
            )


@dataclass(frozen=True)
class _Given:
    """Images and masks by name, as episodes ask a data set for them."""

    images: dict[str, Tensor]
    masks: dict[str, Tensor]

    def image(self, image_id: str) -> Tensor:
        return self.images[image_id]

    def mask(self, image_id: str) -> Tensor:
        return self.masks[image_id]


def _values(name: str, image: Tensor, mask: NDArray[Any] | Tensor) -> Mask:
    values = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else mask)
    if values.ndim != 2 or values.dtype.kind not in "biu":
        raise DataError(f"the mask of '{name}' is {values.dtype} of shape {values.shape}; give bool or integers (H, W)")
    if values.shape != image.shape[1:]:
        raise DataError(
            f"'{name}' is {tuple(image.shape[1:])} but its mask is {values.shape} (height, width); they must have the "
            "same size"
        )
    return Mask(name, values.astype(np.int64))
