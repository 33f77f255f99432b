"""Memory-based copy-paste: old-class instances on new images (FMWISS sec. 3.5), batched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor

from wilss.device import to_device
from wilss.learn.memory import MemoryBank
from wilss.learn.placing import Scene, background_centres, draw_instances, hides_too_much
from wilss.learn.spec import PasteSpec
from wilss.parallel.rows import Rows


@dataclass(frozen=True)
class Pasted:
    """Images with instances and what is now known of them.

    images: float32 ``(N, 3, H, W)`` in [0, 1]. channels: int64 ``(N, H, W)``, output channel of the pasted instance, 0
    where none lies, in its surroundings too. layers: the label layers with covered pixels erased, None if there are
    none.
    """

    images: Tensor
    channels: Tensor
    layers: Tensor | None


Look = Callable[[Tensor], Tensor]
"""Rows of the images, int64 ``(n,)`` on the CPU -> what the old model sees there (its outputs with the highest score),
int64 ``(n, h, w)`` on any grid, on the images' device."""


def paste(
    images: Tensor,
    layers: Tensor | None,
    bank: MemoryBank,
    spec: PasteSpec,
    generator: torch.Generator,
    look: Look | None = None,
    rows: Rows | None = None,
) -> Pasted:
    """Paste instances at random places; every instance keeps its true class as a hard label.

    Args:
        images: float32 ``(N, 3, H, W)`` in [0, 1], on any device; the bank may lie on another.
        layers: pseudo-label layers ``(N, C, H, W)`` of the new classes; set to 0 under an instance. None if there are
            none.
        generator: on the CPU.
        look: what rules of ``spec`` ask (`PasteSpec.looks`); they want nothing where it is None.
        rows: of a larger batch, which these images are; what is drawn is drawn for all of it.
    """
    n, _, height, width = images.shape
    channels = torch.zeros(n, height, width, dtype=torch.int64, device=images.device)
    result = Pasted(images.clone(), channels, layers if layers is None else layers.clone())
    rows = rows or Rows.all(n)
    chosen = torch.rand(rows.whole, generator=generator) < spec.probability
    local, rows = chosen[rows.own].nonzero()[:, 0], rows.chosen(chosen)
    if rows.whole == 0:
        return result
    into = to_device(local, images.device)
    whole = None if layers is None else layers[into]
    scene = _scene(look, local, whole, bank, images) if look is not None and spec.looks else None
    wanted = scene.wanted if scene and spec.seen_first else None
    for _ in range(spec.count):
        index = draw_instances(bank, len(local), wanted, spec.by_class, generator, rows)
        warped = _place(bank, index, (height, width), spec, generator, images.device, scene, rows)
        inside, shown = (warped[:, [channel]] > 0.5 for channel in (3, 4))
        shown &= inside.flatten(1).any(1)[:, None, None, None]  # surroundings alone are no instance
        if whole is not None and result.layers is not None and spec.max_hidden < 1:
            kept = ~hides_too_much(shown, whole, result.layers[into], spec.max_hidden)[:, None, None, None]
            inside, shown = inside & kept, shown & kept
        _put(result, into, warped[:, :3], inside, shown, bank.channels[index])
        if scene:
            scene.note(inside[:, 0], bank.channels[index])
    return result


def _scene(look: Look, rows: Tensor, layers: Tensor | None, bank: MemoryBank, images: Tensor) -> Scene:
    size = (images.shape[-2], images.shape[-1])
    return Scene.of(look(rows), layers, bank, size) if len(rows) else Scene.of_none(bank, size, images.device)


def _put(
    into: Pasted, rows: Tensor, pixels_N3HW: Tensor, inside_N1HW: Tensor, shown_N1HW: Tensor, channels_N: Tensor
) -> None:
    """Write instances and their surroundings over these images, what is known of their pixels and their labels."""
    into.images[rows] = torch.where(shown_N1HW, pixels_N3HW, into.images[rows])
    if into.layers is not None:
        into.layers[rows] = into.layers[rows] * ~shown_N1HW
    own = to_device(channels_N, into.images.device)
    before = into.channels[rows] * ~shown_N1HW[:, 0]  # surroundings hide earlier instances
    into.channels[rows] = torch.where(inside_N1HW[:, 0], own[:, None, None], before)


def _place(
    bank: MemoryBank,
    index: Tensor,
    size: tuple[int, int],
    spec: PasteSpec,
    generator: torch.Generator,
    device: torch.device,
    scene: Scene | None,
    rows: Rows,
) -> Tensor:
    """Warp instances into the image frame: pixels in [0, 1], coverage, and that with surroundings, ``(n, 5, H, W)``."""
    n = len(index)
    box = bank.sizes[index].float()  # (height, width) in bank pixels
    frame = torch.tensor(size).float()
    scale = rows.uniform(spec.min_scale, spec.max_scale, generator=generator)
    scale = torch.minimum(scale, (0.9 * frame / box).amin(1))  # an instance never fills the whole image
    flip = torch.where(rows.rand(generator=generator) < spec.flip, -1.0, 1.0)
    if scene and spec.on_background:
        centre = background_centres(scene.occupied, scale[:, None] * box, generator, rows)
    else:
        centre = rows.rand(2, generator=generator) * frame - 0.5  # (y, x) pixel in the image
    if n == 0:  # none of the batch's instances is for an image of this process
        return torch.zeros(0, 5, *size, device=device)
    middle = (box - 1) / 2  # centre pixel of the instance in the bank
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1] = scale * flip, scale
    matrix[:, 0, 2] = centre[:, 1] - scale * flip * middle[:, 1]
    matrix[:, 1, 2] = centre[:, 0] - scale * middle[:, 0]
    own = index.to(bank.images.device)
    kept = (bank.images, bank.masks[:, None], bank.pasted()[:, None])
    pixels, masks, shown = (to_device(one[own], device).float() for one in kept)
    stacked = torch.cat([pixels / 255, masks, shown], 1)
    return warp_affine(stacked, to_device(matrix, device), size, align_corners=True)
