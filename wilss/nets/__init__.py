"""Networks: timm backbones, ASPP head, segmenter with a growing classifier."""

from wilss._torchvision import make_torchvision_importable

make_torchvision_importable()
