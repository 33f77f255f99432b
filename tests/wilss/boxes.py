"""A source whose images show their masks."""

from __future__ import annotations

import torch
from torch import Tensor


class Boxes:
    """Images of a white box on black, each of its own size; the box of image k is of class k % 5 + 1.

    The last two rows of a mask are void.
    """

    def box(self, image_id: str) -> tuple[int, int, int, int, int, int]:
        k = int(image_id)
        height, width = 40 + 3 * k, 100 - 4 * k
        return height, width, 4 + k, 8 + k, height // 2, width // 2

    def mask(self, image_id: str) -> Tensor:
        height, width, top, left, h, w = self.box(image_id)
        mask = torch.zeros(height, width, dtype=torch.uint8)
        mask[top : top + h, left : left + w] = int(image_id) % 5 + 1
        mask[-2:] = 255
        return mask

    def image(self, image_id: str) -> Tensor:
        inside = (self.mask(image_id) % 255 > 0).to(torch.uint8)
        return (255 * inside).expand(3, -1, -1)
