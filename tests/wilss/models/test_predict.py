"""What a student sees in an image: class ids at the image's own size."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.wilss.models.cards import INPUT, SPEC, student_card
from wilss.models.predict import predict_image
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter


@pytest.mark.parametrize("size", [(40, 64), (97, 130), (1, 1), (3, 200)])
def test_it_is_the_highest_of_the_enlarged_logits_of_the_image_on_the_canvas(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = build_segmenter(SPEC, find_weights("resnet_scenes", "none", None), (3,)).eval()
    with torch.no_grad():
        for layer in model.classifiers:
            layer.weight.mul_(1000)  # so that all outputs win somewhere
            layer.bias.zero_()
    known = {"step_sizes": (3,), "classes": ("a", "b", "c"), "class_ids": (7, 2, 254), "input": {**INPUT, "canvas": 64}}
    card = student_card(**known)
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    found = predict_image(model, card, image)
    assert (found.dtype, found.shape) == (torch.uint8, size)
    scale = min(1.0, 64 / max(size))
    small = F.interpolate(
        image[None].float(), tuple(max(1, round(side * scale)) for side in size), mode="bilinear", antialias=True
    )
    with torch.inference_mode():
        logits = model((small if scale < 1 else image[None].float()).round() / 255)
        whole = F.interpolate(logits, size, mode="bilinear", align_corners=False).argmax(1)[0]
    assert torch.equal(found, torch.tensor([0, 7, 2, 254], dtype=torch.uint8)[whole])
