"""Foundation models: category-aware scorers, category-agnostic groupers and their co-segmentation."""

from wilss._torchvision import make_torchvision_importable

make_torchvision_importable()
