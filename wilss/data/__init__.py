"""Data: the built-in world, VOC folders, what a step may see of them, and batched augmentation."""
