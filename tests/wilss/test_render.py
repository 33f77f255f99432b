"""Pictures of masks."""

from __future__ import annotations

import torch

from wilss.report.pictures import OUTLINE, overlay, spotlight


def test_spotlight_leaves_the_object_alone_and_rings_it() -> None:
    image = torch.randint(0, 256, (3, 9, 11), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(9, 11, dtype=torch.uint8)
    mask[3:6, 4:7] = 1
    mask[0] = 255
    shown = spotlight(image, mask)
    assert shown.shape == image.shape
    assert shown.dtype == torch.uint8
    assert torch.equal(shown[:, 3:6, 4:7], image[:, 3:6, 4:7])
    assert tuple(shown[:, 2, 3].tolist()) == OUTLINE == tuple(shown[:, 6, 7].tolist())
    assert shown[:, 8, 0].unique().numel() == 1  # grey
    assert int(shown[0, 8].max()) <= 102
    assert int(shown[0, 0].min()) >= 60
    assert int((shown == torch.tensor(OUTLINE).view(3, 1, 1)).all(0).sum()) == 5 * 5 - 3 * 3


def test_overlay_keeps_the_background() -> None:
    image = torch.full((3, 4, 4), 100, dtype=torch.uint8)
    labels = torch.zeros(4, 4, dtype=torch.uint8)
    labels[0, 0] = 1
    shown = overlay(image, labels)
    assert torch.equal(shown[:, 1:], image[:, 1:])
    assert not torch.equal(shown[:, 0, 0], image[:, 0, 0])
