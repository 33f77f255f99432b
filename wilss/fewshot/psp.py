"""PSPNet (Zhao et al., CVPR 2017) on base classes: stage 1 of the few-shot heads that need one.

BAM reads its class logits, CWT its bottleneck. Their released codes differ in the classifier's bias (BAM has one,
CWT none) and in the loss (CWT's stage 1, from RePRI, smooths labels).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wilss.errors import SpecError
from wilss.fewshot.pyramid import PyramidBackbone
from wilss.fewshot.sections import PspSpec
from wilss.parallel.ranks import here

IGNORE = 255


class PspDecoder(nn.Module):
    """Pyramid pooling and bottleneck: c5 ``(N, C, h, w)`` -> ``(N, channels, h, w)``, not negative.

    Every bin: average pool to bin x bin, 1x1 convolution to C / bins, BatchNorm, ReLU, enlarged with aligned corners.
    Then c5 and all bins side by side, 3x3 convolution, BatchNorm, ReLU, channel dropout.

    In training a batch needs two images: the BatchNorm of a bin of side 1 sees one value a channel and image, and
    torch raises ValueError for a single one.
    """

    def __init__(self, in_channels: int, spec: PspSpec) -> None:
        super().__init__()
        width = in_channels // len(spec.bins)
        self.bins = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(side),
                nn.Conv2d(in_channels, width, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            )
            for side in spec.bins
        )
        self.join = nn.Sequential(
            nn.Conv2d(in_channels + width * len(spec.bins), spec.channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(spec.channels),
            nn.ReLU(),
            nn.Dropout2d(spec.dropout),
        )

    def forward(self, c5: Tensor) -> Tensor:
        """See the class."""
        bins = [F.interpolate(pool(c5), c5.shape[-2:], mode="bilinear", align_corners=True) for pool in self.bins]
        joined: Tensor = self.join(torch.cat([c5, *bins], 1))
        return joined


class PspNet(nn.Module):
    """Backbone, decoder and a 1x1 classifier of the base classes; everything at feature resolution.

    Args:
        backbone: made with ``train_batchnorm=True`` where the whole network is trained.
        n_classes: base classes, without background.
    """

    def __init__(self, backbone: PyramidBackbone, n_classes: int, spec: PspSpec) -> None:
        super().__init__()
        self.spec = spec
        self.backbone: nn.Module = backbone
        self.decoder = PspDecoder(backbone.channels[3], spec)
        self.classifier = nn.Conv2d(spec.channels, 1 + n_classes, 1, bias=spec.classifier_bias)
        self.auxiliary = _auxiliary(backbone.channels[2], 1 + n_classes, spec) if spec.aux_weight else None

    def bottleneck(self, c5: Tensor) -> Tensor:
        """c5 ``(N, C5, h, w)`` -> ``(N, channels, h, w)``."""
        features: Tensor = self.decoder(c5)
        return features

    def class_logits(self, c5: Tensor) -> Tensor:
        """c5 ``(N, C5, h, w)`` -> logits ``(N, 1 + classes, h, w)``; channel 0 is background."""
        logits: Tensor = self.classifier(self.bottleneck(c5))
        return logits

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(N, 1 + classes, h, w)`` of images ``(N, 3, H, W)`` in [0, 1]."""
        return self.class_logits(self.backbone(images).c5)

    def losses(self, images: Tensor, labels: Tensor, smoothing: float = 0.0, stride: int = 1) -> dict[str, Tensor]:
        """Loss terms of a batch, float32.

        Args:
            images: as of `forward`. labels: uint8 ``(N, H, W)``, see `stage1_loss`.
            stride: every stride-th pixel of the labels is looked at, from the first to the last, where aligned corners
                put the logits too; it is cheaper for many classes.

        Raises SpecError for a stride that misses the last pixel.
        """
        if any((side - 1) % stride for side in labels.shape[1:]):
            raise SpecError(f"a loss at every {stride}th pixel of {tuple(labels.shape[1:])} misses the last; take 1")
        maps = self.backbone(images)
        seen = labels[:, ::stride, ::stride]
        terms = {"loss": stage1_loss(self.class_logits(maps.c5), seen, smoothing)}
        if self.auxiliary is not None:
            terms["auxiliary"] = self.spec.aux_weight * stage1_loss(self.auxiliary(maps.c4), seen, smoothing)
        return terms


def _auxiliary(in_channels: int, n_outputs: int, spec: PspSpec) -> nn.Sequential:
    """PSPNet's second classifier: 3x3 convolution, BatchNorm, ReLU, channel dropout, 1x1."""
    return nn.Sequential(
        nn.Conv2d(in_channels, spec.channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(spec.channels),
        nn.ReLU(),
        nn.Dropout2d(spec.dropout),
        nn.Conv2d(spec.channels, n_outputs, 1),
    )


def stage1_loss(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy at the size of the labels, mean over pixels that count, float32; zero where none does.

    The target is 1 - smoothing for the pixel's class and smoothing / (C - 1) for each other one (RePRI), C being the
    number of channels.

    Args:
        logits: ``(N, C, h, w)``, C >= 2; enlarged bilinearly with aligned corners.
        labels: uint8 ``(N, H, W)``, 0 background, then the classes; 255 does not count.
        smoothing: from 0 to (C - 1) / C.
    """
    channels = logits.shape[1]
    enlarged = F.interpolate(logits.float(), labels.shape[-2:], mode="bilinear", align_corners=True)
    # torch spreads its smoothing e over all C classes: own 1 - e + e / C, others e / C; both agree for this e
    spread = smoothing * channels / (channels - 1)
    total = F.cross_entropy(enlarged, labels.long(), ignore_index=IGNORE, reduction="sum", label_smoothing=spread)
    return total / here().evened((labels != IGNORE).sum(), 1)
