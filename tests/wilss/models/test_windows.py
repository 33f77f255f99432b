"""Windows over a large image give one map, and further passes are averaged."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.wilss.models.cards import INPUT, SPEC, student_card
from wilss.errors import SpecError
from wilss.models import windows
from wilss.models.maps import output_maps
from wilss.models.model import Model
from wilss.models.passes import Passes
from wilss.models.predict import predict_image, predict_shrunk
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter

FULL = {**INPUT, "canvas": 4096}


@pytest.fixture(scope="module")
def model() -> Model:
    """Random, but so that every output wins somewhere in a picture."""
    torch.manual_seed(0)
    network = build_segmenter(SPEC, find_weights("resnet_scenes", "none", None), (3,)).eval()
    with torch.no_grad():
        network.classifiers[0].bias.zero_()  # type: ignore[operator, union-attr]
        maps = network(picture(160, 160)[None].float() / 255)
        spread = maps.std((0, 2, 3))
        network.classifiers[0].weight.div_(spread[:, None, None, None])  # type: ignore[operator, union-attr]
        network.classifiers[0].bias.copy_(-maps.mean((0, 2, 3)) / spread)  # type: ignore[operator, union-attr]
    return Model(network, student_card(step_sizes=(3,), classes=("a", "b", "c"), class_ids=(7, 2, 254), input=FULL))


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    coarse = torch.rand(1, 3, height // 8 + 1, width // 8 + 1, generator=torch.Generator().manual_seed(seed))
    return (F.interpolate(coarse, (height, width), mode="bilinear")[0] * 255).to(torch.uint8)


class Local(torch.nn.Module):
    """A network whose cells see their own pixels alone, so that windows cannot change what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.spec = SPEC
        self.anchor = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        padded = F.pad(images, (0, -images.shape[-1] % 8, 0, -images.shape[-2] % 8), mode="replicate")
        return torch.cat([F.avg_pool2d(padded, 8), 0.5 + 0 * F.avg_pool2d(padded[:, :1], 8)], 1)


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (200, 72), (257, 391), (640, 321)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.9])
def test_windows_are_blended_into_the_map_of_the_whole(size: tuple[int, int], overlap: float) -> None:
    image, local = picture(*size), Local()
    found = windows.highest_by_windows(local, image, Passes(window=64, overlap=overlap))  # type: ignore[arg-type]
    cells = local(image[None].float() / 255)
    height, width = (8 * side for side in cells.shape[-2:])
    whole = F.interpolate(cells, (height, width), mode="bilinear", align_corners=False)[0, :, : size[0], : size[1]]
    two = whole.topk(2, 0).values
    sure = (two[0] - two[1]) > 1e-5
    assert (found.dtype, found.shape) == (torch.uint8, size)
    assert torch.equal(found[sure], whole.argmax(0).to(torch.uint8)[sure])
    assert sure.float().mean() > 0.99


def test_one_window_over_all_is_the_whole_image(model: Model) -> None:
    image = picture(64, 128)
    plain = model.predict(image)
    assert len(plain.unique()) > 1
    assert torch.equal(model.predict(image, window=128), plain)
    assert not torch.equal(model.predict(image, window=64), plain), "a window sees less around a pixel"


def test_seams_do_not_show(model: Model) -> None:
    """In an even image nothing tells where a window ends, once its weight has smoothed it."""
    even = torch.full((3, 64, 400), 90, dtype=torch.uint8)
    blocks = [block for block, _ in windows._blocks(model.network, even, Passes(window=128, overlap=0.5))]
    row = torch.cat(blocks, 1)[:, 4]
    steps = (row[:, 1:] - row[:, :-1]).abs()[:, 4:-4].max()
    ends = [block for block, _ in windows._blocks(model.network, even, Passes(window=128, overlap=0.0))]
    hard = torch.cat(ends, 1)[:, 4]
    assert steps < 0.7 * (hard[:, 1:] - hard[:, :-1]).abs()[:, 4:-4].max()


@pytest.mark.parametrize("total", [1, 7, 8, 9, 100])
@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.9])
def test_windows_cover_everything_and_end_with_the_image(total: int, overlap: float) -> None:
    found = windows.starts(total, 8, overlap)
    assert {k for start in found for k in range(start, min(start + 8, total))} == set(range(total))
    assert found == sorted(set(found))
    assert found[-1] == max(0, total - 8)


def test_passes_are_averaged_and_mirrored_images_give_mirrored_maps(model: Model) -> None:
    image = picture(64, 96)[None]
    with torch.inference_mode():
        maps = output_maps(model.network, image, tta=True)
        mirrored = output_maps(model.network, image.flip(-1), tta=True)
        plain = output_maps(model.network, image)
        passes = []
        for height, width in ((48, 72), (64, 96), (80, 120)):
            scaled = F.interpolate(image.float() / 255, (height, width), mode="bilinear", antialias=True)
            for turn in (False, True):
                one = model.network(scaled.flip(-1) if turn else scaled).sigmoid()
                passes.append(F.interpolate(one.flip(-1) if turn else one, (8, 12), mode="bilinear"))
    assert maps.shape == plain.shape
    assert torch.allclose(maps, torch.stack(passes).mean(0), atol=1e-6)
    assert torch.allclose(mirrored.flip(-1), maps, atol=1e-5)
    assert not torch.allclose(plain.sigmoid(), maps, atol=1e-3)


def test_a_batch_gives_what_its_images_give_one_by_one(model: Model) -> None:
    images = [picture(72, 88, seed) for seed in range(5)]
    for tta in (False, True):
        found = predict_shrunk(model.network, model.card, torch.stack(images), [(72, 88)] * 5, tta)
        for image, labels in zip(images, found, strict=True):
            assert torch.equal(labels, predict_image(model.network, model.card, image, Passes(tta)))


def test_python_has_the_same_ways_to_look(model: Model) -> None:
    image = picture(90, 130)
    for passes in (Passes(True), Passes(window=64), Passes(True, 64, 0.5)):
        found = model.predict(image, tta=passes.tta, window=passes.window, overlap=passes.overlap)
        assert torch.equal(found, predict_image(model.network, model.card, image, passes))
        assert set(found.unique().tolist()) <= model.classes.keys()
    assert not torch.equal(model.predict(image, tta=True), model.predict(image))


@pytest.mark.parametrize(
    ("given", "told"),
    [({"window": 5}, "give 64 or more"), ({"overlap": 1.0}, "from 0 to 0.9"), ({"overlap": -0.1}, "0.9")],
)
def test_windows_that_cannot_be_are_refused(model: Model, given: dict[str, float], told: str) -> None:
    with pytest.raises(SpecError, match=told):
        model.predict(picture(8, 8), **given)  # type: ignore[arg-type]
