"""Settings of the gate: what a model must show before it takes the place of the one in use. Imports no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from wilss.section import Section

Part = Annotated[float, Field(ge=0, le=1)]
"""A share, as records hold them: 0.01 is one point of what is printed in percent."""


class GateSpec(Section):
    """The rules of the gate; all IoU are shares in [0, 1] on full-size images of the guard set.

    A model that reaches a bound exactly passes it.
    """

    prefilled: ClassVar = frozenset({"epsilon", "delta", "floor", "least_images", "least_per_class"})

    epsilon: Part = Field(
        0.005, description="most that the mean of all classes may fall below the champion's; 0.01 is one point"
    )
    delta: Part = Field(0.03, description="most that any class that the champion knows may lose")
    floor: Part = Field(0.1, description="least IoU of every class that the champion does not know")
    least_images: int = Field(20, ge=1, le=10**7, description="least images of the guard set")
    least_per_class: int = Field(
        1, ge=0, le=10**6, description="least guard images that show each class; 0 lets classes pass that none shows"
    )
