"""A student as one graph for other programs: from the bytes of an image to class ids at the image's own size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.models.card import StudentCard
from wilss.models.tracing import pads_same, plain_number
from wilss.nets.segmenter import Segmenter


class Deployable(nn.Module):
    """What `wilss.models.predict.predict_image` does, as a network that can be traced, for batches of one size.

    It takes uint8 ``(N, 3, H, W)``, RGB, of any N, H and W, and gives class ids uint8 ``(N, H, W)`` and logits float32
    ``(N, 1 + C, H, W)``, both at the size of the input. Shrinking to the canvas, normalisation, enlarging and argmax
    are inside. Two things differ: elsewhere Pillow shrinks images more than eight times larger than the canvas, eight
    bits at a time; and no side is shrunk below two pixels, as onnxruntime's antialiased Resize is wrong for one.
    """

    ids: Tensor

    def __init__(self, network: Segmenter, card: StudentCard) -> None:
        super().__init__()
        self.network = network
        self.canvas = card.input.canvas
        self.pads_same = pads_same(network)
        self.register_buffer("ids", torch.tensor([0, *card.class_ids], dtype=torch.uint8))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        height, width = images.shape[-2:]
        longest = torch.sym_max(torch.sym_max(height, width), self.canvas)
        size = [shrunk(side, longest, self.canvas) for side in (height, width)]
        if self.pads_same:
            size = [plain_number(side, self.canvas) for side in size]
        small = F.interpolate(images.float(), size, mode="bilinear", antialias=True).round().clamp(0, 255)
        logits = F.interpolate(self.network(small / 255).float(), (height, width), mode="bilinear")
        return self.ids[logits.argmax(1)], logits


class OneOutput(nn.Module):
    """A network that gives one of another's outputs."""

    def __init__(self, network: nn.Module, place: int) -> None:
        super().__init__()
        self.network = network
        self.place = place

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        output: Tensor = self.network(images)[self.place]
        return output


def shrunk(side: int, longest: int, canvas: int) -> int:
    """``max(2, round(side * canvas / longest))`` in whole numbers, a half to the even one, so that it can be traced."""
    whole, rest = (2 * side * canvas + longest) // (2 * longest), (2 * side * canvas + longest) % (2 * longest)
    half = 1 - torch.sym_min(rest, 1)  # the quotient was rounded up from a half
    return torch.sym_max(2, whole - half * (whole % 2))
