"""What scorer and grouper see in an image: how they came to a mask, and what is alike to a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from deployments.inspector.tints import heat
from deployments.inspector.wants import made_from
from stores.labels.origin import spec_of
from wilss.errors import DataError, SpecError
from wilss.foundation.contracts import Grouper, Prompts
from wilss.foundation.cosegment import Looked, look, mass_share
from wilss.foundation.refine import fit_to_image
from wilss.foundation.seeds import seed_noise
from wilss.foundation.spec import FoundationSpec

if TYPE_CHECKING:
    from deployments.inspector.making import Maker, Opened


@dataclass(frozen=True)
class Seeds:
    """Of one image: channels of its tags, their points ``(T, S, 2)`` and the grouper's affinity ``(T, h, w)``."""

    channels: tuple[int, ...]
    points: Tensor
    affinity: Tensor

    def slot(self, channel: int) -> int:
        """The place of a channel. Raises SpecError for a class that the image is not tagged with."""
        if channel not in self.channels:
            raise SpecError("the image is not tagged with this class, so there were no seeds; choose another class")
        return self.channels.index(channel)


@torch.inference_mode()
def affinity(image_3hw: Tensor, pixel: tuple[int, int], grouper: Grouper, spec: FoundationSpec) -> Image.Image:
    """How alike everything is to a pixel (column, row): grey ``(h, w)``, 255 most alike.

    Pixels above ``255 * (1 - keep)`` hold the share ``keep`` of the affinity, fitted to the edges of the image.
    """
    images = image_3hw[None].float() / 255
    shares_of = torch.tensor([images.shape[-1], images.shape[-2]])
    point = ((torch.tensor(pixel) + 0.5) / shares_of).to(images)
    found = grouper.affinity(images, point[None, None])[0, 0]
    shares = F.interpolate(
        mass_share(found.float())[None, None], images.shape[-2:], mode="bilinear", align_corners=False
    )
    how = spec.cosegment.model_copy(update={"refine": "guided", "guided_radius": max(4, max(images.shape[-2:]) // 16)})
    return _grey(fit_to_image(shares, images, how)[0, 0])


def seeds_of(maker: Maker, of: Opened, image: int, image_3hw: Tensor) -> Seeds:
    """What co-segmentation saw in an image, computed again with the same models, words and random numbers.

    Raises DataError where that is not known, or the models are others by now.
    """
    first = made_from(maker.store, of.manifest)
    if first is None:
        raise DataError(
            "how these masks came about is not kept, as they were not co-segmented here; look at the others"
        )
    origin = maker.opened(first.digest)
    there = origin.labels.rows.get(of.labels.index.ids[image])
    if there is None:
        raise DataError("the set that these masks come from lacks this image; look at another image")
    scorer, grouper = maker.scorer(origin), maker.grouper(origin)
    if (scorer.digest, grouper.digest) != (first.recipe["scorer"], first.recipe["grouper"]):
        raise DataError(
            "scorer or grouper are others than those that made these masks; name their weights (WILSS_WEIGHTS)"
        )
    spec, index = spec_of(origin.card), origin.labels.index
    new, old = _words(maker, origin)
    tags = torch.from_numpy(index.tags[[there]])
    cosegment = spec.foundation.cosegment
    noise = seed_noise([index.ids[there]], len(new), cosegment.n_seeds, spec.seed)
    images = (image_3hw[None].float() / 255).to(maker.device)
    seen = look(images, tags, new, old, scorer, grouper, cosegment, noise)
    return _of_tags(seen)


def _of_tags(seen: Looked) -> Seeds:
    count = int(seen.used[0].sum())
    channels = tuple(seen.slots[0, :count].tolist())
    return Seeds(channels, seen.points[0, :count].float().cpu(), seen.affinity[0, :count].float().cpu())


def _words(maker: Maker, origin: Opened) -> tuple[Prompts, Prompts]:
    """Words of the set's classes, and of those that compete without a mask."""
    spec, source = spec_of(origin.card), maker.source(origin)
    words = maker.words(origin).classes
    before = spec.protocol.seen((origin.card.step or 1) - 1) if spec.foundation.old_names else ()
    new = [words[name] for name in origin.labels.index.classes]
    return new, [words[source.classes[class_id - 1]] for class_id in before]


def seeds_picture(seen: Seeds, channel: int, image_3hw: Tensor) -> Image.Image:
    """How alike everything is to the seeds of a class, from transparent to bright, and the seeds as dots; RGBA."""
    slot, (height, width) = seen.slot(channel), image_3hw.shape[-2:]
    shares = mass_share(seen.affinity[slot])[None, None]
    large = F.interpolate(shares, (height, width), mode="bilinear", align_corners=False)[0, 0]
    shown = heat(large.clamp(0, 1).numpy()).convert("RGBA")
    pen, radius = ImageDraw.Draw(shown), max(1, round(max(height, width) / 100))
    for x, y in (seen.points[slot] * torch.tensor([width, height])).int().tolist():
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), "white", "black")
    return shown


def _grey(shares_hw: Tensor) -> Image.Image:
    return Image.fromarray((shares_hw.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy(), "L")
