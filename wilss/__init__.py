"""wilss: weakly supervised class-incremental semantic segmentation, after FMWISS (CVPR 2023).

What is named here is loaded when it is first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wilss.api import evaluate as evaluate
    from wilss.api import label as label
    from wilss.api import load as load
    from wilss.api import open_source as open_source
    from wilss.api import train_step as train_step
    from wilss.data.families import Family as Family
    from wilss.data.source import Source as Source
    from wilss.fewshot.heads.contract import Head as Head
    from wilss.foundation.contracts import Grouper as Grouper
    from wilss.foundation.contracts import Scorer as Scorer
    from wilss.foundation.label import Labels as Labels
    from wilss.learn.methods.contract import Method as Method
    from wilss.measure.scores import Scores as Scores
    from wilss.models.model import Model as Model
    from wilss.names import list_benchmarks as list_benchmarks
    from wilss.names import list_families as list_families
    from wilss.names import list_groupers as list_groupers
    from wilss.names import list_heads as list_heads
    from wilss.names import list_methods as list_methods
    from wilss.names import list_presets as list_presets
    from wilss.names import list_scorers as list_scorers
    from wilss.register import register_family as register_family
    from wilss.register import register_grouper as register_grouper
    from wilss.register import register_head as register_head
    from wilss.register import register_method as register_method
    from wilss.register import register_scorer as register_scorer

    __version__: str

_MODULES: dict[str, tuple[str, ...]] = {
    "wilss.api": ("evaluate", "label", "load", "open_source", "train_step"),
    "wilss.models.model": ("Model",),
    "wilss.foundation.label": ("Labels",),
    "wilss.measure.scores": ("Scores",),
    "wilss.data.source": ("Source",),
    "wilss.data.families": ("Family",),
    "wilss.learn.methods.contract": ("Method",),
    "wilss.foundation.contracts": ("Grouper", "Scorer"),
    "wilss.fewshot.heads.contract": ("Head",),
    "wilss.names": tuple(
        f"list_{name}" for name in ("benchmarks", "families", "groupers", "heads", "methods", "presets", "scorers")
    ),
    "wilss.register": tuple(f"register_{name}" for name in ("family", "grouper", "head", "method", "scorer")),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}
__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("wilss")
    if name == "testing":  # the contract suites, which need pytest
        return importlib.import_module("wilss.testing")
    if name not in _PLACES:
        raise AttributeError(f"module 'wilss' has no attribute '{name}'")
    globals()[name] = found = getattr(importlib.import_module(_PLACES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted([*__all__, "testing"])
