"""``scenes``: a generated, seeded, VOC-like world with masks, image-level labels and captions.

One to three objects of twenty classes stand, partly hidden by each other, before a textured background with clutter.
A class is told by its outline only: texture family and colours are random, with a mild preference of each class for one
texture. Scene ``i`` depends on ``(world, split, i)`` alone; scenes are drawn in blocks of `BLOCK` to keep the drawing
vectorised.

Shape suffixes: N scenes, L layers (clutter first, then objects from back to front), C channels, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from zlib import crc32

import torch
import torch.nn.functional as F
from torch import Tensor

from wilss.data.scenes.outlines import CLASSES, MAX_OBJECTS, N_BLOBS, N_CLUTTER
from wilss.data.scenes.silhouettes import ShapeSet, class_shapes
from wilss.data.spec import World

BLOCK = 32
IGNORE = 255


@dataclass(frozen=True)
class Scenes:
    """Scenes: uint8 images ``(N, 3, H, W)``, uint8 masks ``(N, H, W)`` (0 background, then classes, 255 void)."""

    images: Tensor
    masks: Tensor

    def tags(self) -> list[tuple[int, ...]]:
        """Class ids visible in each scene, ascending."""
        return [tuple(c for c in mask.unique().tolist() if 0 < c < IGNORE) for mask in self.masks]


def draw(world: World, split: str, start: int, stop: int, shapes: ShapeSet | None = None) -> Scenes:
    """Draw scenes ``start`` (included) to ``stop`` (excluded) of a split.

    Args:
        shapes: what classes look like; the twenty of the built-in world when left out.

    Raises ValueError when the range is empty or negative.
    """
    if not 0 <= start < stop:
        raise ValueError(f"scene range [{start}, {stop}) is empty or negative; ask for 0 <= start < stop")
    shapes = shapes or class_shapes()
    blocks = [_draw_block(world, shapes, split, block) for block in range(start // BLOCK, (stop - 1) // BLOCK + 1)]
    first = start - start // BLOCK * BLOCK
    images = torch.cat([block.images for block in blocks])[first : first + stop - start]
    masks = torch.cat([block.masks for block in blocks])[first : first + stop - start]
    return Scenes(images, masks)


def caption(tags: tuple[int, ...], generator: torch.Generator) -> str:
    """One English caption that names every class in ``tags`` in random order, e.g. "a picture of a star and a mug"."""
    order = torch.randperm(len(tags), generator=generator).tolist()
    names = [f"a {CLASSES[tags[k] - 1]}" for k in order] or ["nothing"]
    openings = ("a photo of", "a picture of", "a scene with", "there is", "an image of", "")
    opening = openings[int(torch.randint(len(openings), (), generator=generator))]
    joiner = (" and ", ", ", " next to ")[int(torch.randint(3, (), generator=generator))]
    return f"{opening} {joiner.join(names)}".strip()


def _draw_block(world: World, shapes: ShapeSet, split: str, block: int) -> Scenes:
    seed = crc32(f"{world.seed}/{split}/{block}".encode())
    gen = torch.Generator().manual_seed(seed)
    shape_NL = _choose_shapes(world, shapes.n_classes, gen)
    coverage_NLHW = _place(world, shapes.coverage, shape_NL, gen)
    coverage_NLHW = _drop_hidden(coverage_NLHW, world.min_visible)
    paint = _paint(world, shapes.n_classes, shape_NL, gen)
    images = _compose(world, coverage_NLHW, paint, gen)
    return Scenes(images, _label(coverage_NLHW, shape_NL))


def _uniform(gen: torch.Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(*shape, generator=gen)


def _choose_shapes(world: World, n_classes: int, gen: torch.Generator) -> Tensor:
    """Atlas row of every layer, int64 ``(N, L)``; -1 where a scene has fewer objects."""
    clutter = n_classes + torch.randint(N_BLOBS, (BLOCK, N_CLUTTER), generator=gen)
    objects = torch.rand(BLOCK, n_classes, generator=gen).argsort(1)[:, :MAX_OBJECTS]
    clutter[:, world.clutter :] = -1
    count = 1 + torch.randint(world.max_objects, (BLOCK, 1), generator=gen)
    objects = torch.where(torch.arange(MAX_OBJECTS) < count, objects, -1)
    return torch.cat([clutter, objects], 1)


def _place(world: World, atlas: Tensor, shape_NL: Tensor, gen: torch.Generator) -> Tensor:
    """Warp each layer's silhouette into the image: coverage in [0, 1], float32 ``(N, L, H, W)``."""
    n, layers = shape_NL.shape
    size = world.image_size
    scale = _uniform(gen, n, layers, low=world.min_scale, high=world.max_scale)
    stretch = torch.exp(_uniform(gen, n, layers, low=-0.16, high=0.16))
    angle = _uniform(gen, n, layers, low=-1.0, high=1.0) * world.rotation * pi / 180
    angle[:, :N_CLUTTER] = _uniform(gen, n, N_CLUTTER, low=-pi, high=pi)
    shear = _uniform(gen, n, layers, low=-0.15, high=0.15)
    reach = (1 - 0.6 * scale).clamp(min=0.2)
    x, y = (_uniform(gen, n, layers, low=-1.0, high=1.0) * reach for _ in range(2))
    # the atlas keeps a 10 % margin, hence 0.8; the inverse map takes image coordinates to atlas coordinates
    inv_x, inv_y = 0.8 / (scale * stretch), 0.8 / (scale / stretch)
    cos, sin = angle.cos(), angle.sin()
    row_x = torch.stack([cos + shear * sin, sin - shear * cos], -1) * inv_x[..., None]
    row_y = torch.stack([-sin, cos], -1) * inv_y[..., None]
    matrix = torch.stack([row_x, row_y], -2)
    offset = -(matrix @ torch.stack([x, y], -1)[..., None])
    wobble = _uniform(gen, n * layers, 2, 4, 4, low=-0.07, high=0.07)
    there = (shape_NL >= 0).flatten()
    grid = _affine_grid(torch.cat([matrix, offset], -1).flatten(0, 1)[there], size)
    grid += F.interpolate(wobble[there], (size, size), mode="bilinear", align_corners=True)
    source = atlas[shape_NL.flatten()[there]][:, None]
    coverage = torch.zeros(n * layers, size, size)
    coverage[there] = F.grid_sample(source, grid.permute(0, 2, 3, 1), align_corners=False)[:, 0]
    return coverage.view(n, layers, size, size)


def _affine_grid(theta_N23: Tensor, size: int) -> Tensor:
    """`torch.nn.functional.affine_grid` for square images, ``(N, 2, size, size)``: rows plus columns."""
    axis = (torch.arange(size) + 0.5) * (2 / size) - 1
    columns = theta_N23[:, :, :1] * axis + theta_N23[:, :, 2:]
    rows = theta_N23[:, :, 1:2] * axis
    return columns[:, :, None, :] + rows[..., None]


def _drop_hidden(coverage_NLHW: Tensor, min_visible: float) -> Tensor:
    """Take away objects whose visible share is below ``min_visible``, from the front to the back."""
    coverage = coverage_NLHW.clone()
    free = torch.ones_like(coverage[:, 0])
    for layer in range(coverage.shape[1] - 1, N_CLUTTER - 1, -1):
        total = coverage[:, layer].sum((1, 2))
        visible = (coverage[:, layer] * free).sum((1, 2))
        coverage[:, layer] *= (visible > min_visible * total)[:, None, None]
        free = free * (1 - coverage[:, layer])
    return coverage


def _paint(world: World, n_classes: int, shape_NL: Tensor, gen: torch.Generator) -> Tensor:
    """Texture of the background and of each layer: RGB in [0, 1], float32 ``(N, 1 + L, 3, H, W)``."""
    n, layers = shape_NL.shape[0], shape_NL.shape[1] + 1
    family = torch.randint(5, (n, layers), generator=gen)
    typical = torch.cat([torch.full((n, 1), -1), shape_NL], 1)
    prefers = (_uniform(gen, n, layers) < world.typical_texture) & (typical >= 0) & (typical < n_classes)
    family = torch.where(prefers, typical % 5, family)
    pattern = _patterns(family, world.image_size, gen)[:, :, None]
    first = _uniform(gen, n, layers, 3, 1, 1)
    # objects stand out from the background in at least one channel, whatever their colour
    away = torch.where(first[:, :1] > 0.5, first[:, :1] - 0.45, first[:, :1] + 0.45)
    channel = F.one_hot(torch.randint(3, (n, layers - 1), generator=gen), 3)[..., None, None].bool()
    first[:, 1:] = torch.where(channel, away, first[:, 1:])
    second = (first + _uniform(gen, n, layers, 3, 1, 1, low=-0.3, high=0.3)).clamp(0, 1)
    return torch.addcmul(first, second - first, pattern)


def _patterns(family_NL: Tensor, size: int, gen: torch.Generator) -> Tensor:
    """Grey patterns in [0, 1], float32 ``(N, L, H, W)``: 0 gradient, 1 stripes, 2 checks, 3 dots, 4 cloud."""
    n, layers = family_NL.shape
    axis = torch.linspace(-1, 1, size)
    angle = _uniform(gen, n, layers, 1, 1, high=pi)
    phase = _uniform(gen, n, layers, 1, 1, high=2 * pi)
    frequency = torch.where(family_NL == 0, 0.8, _uniform(gen, n, layers, low=10.0, high=34.0))[..., None, None]
    cos, sin = frequency * angle.cos(), frequency * angle.sin()
    u = ((cos * axis + phase) + sin * axis[:, None]).sin()
    v = (cos * axis[:, None] + (phase - sin * axis)).sin()
    # gradient and stripes: u; checks: 4 u v; dots: 2 (u + v - 1); cloud: noise. One expression for the four waves
    of_u, of_v, of_uv, constant = (
        torch.tensor(row, dtype=u.dtype)[family_NL][..., None, None]
        for row in ((1, 1, 0, 2, 0), (0, 0, 0, 2, 0), (0, 0, 4, 0, 0), (0, 0, 0, -2, 0))
    )
    wave = torch.addcmul(constant, of_v, v).add_(u.mul_(v.mul_(of_uv).add_(of_u)))
    noise = _uniform(gen, n, layers, 9, 9, low=-1.5, high=1.5)
    cloudy = family_NL == 4
    wave[cloudy] = F.interpolate(noise[cloudy][:, None], (size, size), mode="bilinear")[:, 0]
    return wave.mul_(0.6).add_(0.5).clamp_(0, 1)


def _compose(world: World, coverage_NLHW: Tensor, paint: Tensor, gen: torch.Generator) -> Tensor:
    """Lay the layers over each other, add light and noise; uint8 ``(N, 3, H, W)``."""
    canvas = paint[:, 0]
    rim_NLHW = coverage_NLHW - _neighbourhood(coverage_NLHW, torch.minimum)  # rims turn away from the light
    for layer in range(coverage_NLHW.shape[1]):
        surface = paint[:, layer + 1] * (1 - world.rim * rim_NLHW[:, layer, None])
        canvas = torch.lerp(canvas, surface, coverage_NLHW[:, layer, None])
    light = F.interpolate(_uniform(gen, BLOCK, 1, 2, 2, low=0.75, high=1.15), canvas.shape[-2:], mode="bilinear")
    if world.style == "faded":
        canvas = 0.55 + 0.4 * (canvas.mean(1, keepdim=True) - 0.5) + 0.15 * (canvas - 0.5)
    noise = torch.randn(canvas.shape, generator=gen).mul_(0.03)
    return noise.addcmul_(canvas, light).mul_(255).clamp_(0, 255).to(torch.uint8)


def _label(coverage_NLHW: Tensor, shape_NL: Tensor) -> Tensor:
    """Masks with a void border of one pixel on each side of every outline; uint8 ``(N, H, W)``."""
    mask = torch.zeros_like(coverage_NLHW[:, 0])
    for layer in range(N_CLUTTER, coverage_NLHW.shape[1]):
        inside = coverage_NLHW[:, layer] > 0.5
        mask = torch.where(inside, (shape_NL[:, layer, None, None] + 1).float(), mask)
    whole = mask.to(torch.uint8)
    border = _neighbourhood(whole, torch.maximum) != _neighbourhood(whole, torch.minimum)
    return torch.where(border, IGNORE, whole)


def _neighbourhood(values: Tensor, choose: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Largest or smallest value of each pixel's 3 x 3 neighbourhood inside the image; much faster than max pooling."""
    for dim in (-1, -2):
        size = values.shape[dim]
        inner = choose(values.narrow(dim, 0, size - 1), values.narrow(dim, 1, size - 1))
        ends = values.narrow(dim, 0, 1), values.narrow(dim, size - 1, 1)
        first = choose(ends[0], inner.narrow(dim, 0, 1))
        last = choose(ends[1], inner.narrow(dim, size - 2, 1))
        middle = choose(inner.narrow(dim, 0, size - 2), inner.narrow(dim, 1, size - 2))
        values = torch.cat([first, middle, last], dim)
    return values
