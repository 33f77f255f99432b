"""What a stored network may say of how it is built: a plain model name and harmless arguments.

Cards of checkpoints and heads, notes of weights files and specifications come from others. timm's ``create_model``
takes names such as ``hf-hub:...`` and ``local-dir:...``, and arguments such as ``checkpoint_path``, that make it read
files or fetch them, in some of its releases by unpickling. None of them gets that far: weights are named by the user
alone.
Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, FiniteFloat

from wilss.errors import SpecError
from wilss.section import Section

PLAIN = re.compile(r"[A-Za-z0-9_]{1,80}(\.[A-Za-z0-9_]{1,80})?", re.ASCII)
ARGUMENTS: dict[str, tuple[str, ...]] = {"pad_type": ("", "same")}
"""Arguments of timm's models that files may hold, and their values: padding as TensorFlow does it."""
MOST_CHANNELS = 8192
MOST_PIXELS = 8192
"""Of the side of a canvas or crop."""
MOST_CLASSES = 254
"""Masks hold 0 to 255: background, the classes, void."""


def plain_name(model: str) -> str:
    """The name itself: of timm's registry, "MODEL" or "MODEL.TAG". Raises SpecError for a path or an address."""
    if not PLAIN.fullmatch(model):
        raise SpecError(
            f"'{model[:100]}' is no plain model name: a network is named as in timm's registry, e.g. resnet101, and "
            "never by a path or an address; weights are given apart"
        )
    return model


def harmless(arguments: Mapping[str, str]) -> dict[str, str]:
    """The arguments themselves. Raises SpecError for one that is not in `ARGUMENTS`."""
    for key, value in arguments.items():
        if value not in ARGUMENTS.get(key, ()):
            known = ", ".join(f"{name}: {' or '.join(map(repr, values))}" for name, values in ARGUMENTS.items())
            raise SpecError(f"'{key[:60]}={value[:60]}' is no argument that a file may give to a model ({known})")
    return dict(arguments)


ModelName = Annotated[str, AfterValidator(plain_name)]
ModelArguments = Annotated[dict[str, str], AfterValidator(harmless)]
Mean = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Positive = Annotated[FiniteFloat, Field(gt=0)]
Deviation = tuple[Positive, Positive, Positive]
Channels = Annotated[int, Field(ge=8, le=MOST_CHANNELS)]
Count = Annotated[int, Field(ge=1, le=MOST_CLASSES)]
"""A class id, or a number of classes."""
Dilation = Annotated[int, Field(gt=0, le=256)]


class InputCard(Section):
    """What a stored network takes, plain images in [0, 1], and what it does with them first.

    mean, std: by which it normalises them, a channel. canvas: side to which larger images are shrunk, longer side.
    arguments: that its backbone was built with.
    """

    mean: Mean
    std: Deviation
    canvas: int = Field(ge=1, le=MOST_PIXELS)
    arguments: ModelArguments
