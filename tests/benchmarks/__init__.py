"""Measured ratios: ``python -m tests.benchmarks.NAME`` prints a table and, as its last line, one JSON object."""

from wilss._torchvision import make_torchvision_importable

make_torchvision_importable()
