"""Networks: timm backbones, ASPP head, segmenter with a growing classifier."""
