"""Let timm and open_clip import a torchvision whose compiled operators do not fit the installed torch.

A machine with a CPU build of torch often gets the registry's torchvision, which is linked against CUDA. Its operators
then do not load, which is harmless here (we use none), but importing it still fails: it registers fake kernels for
``torchvision::nms`` and ``qnms`` without checking that they exist. Declaring the operators' schemas is enough. It is
done when this module is imported, as every module does that imports timm or open_clip, before it does.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_LIBRARY: torch.library.Library | None = None


def make_torchvision_importable() -> None:
    """Declare the two operators unless torchvision's own extension provides them. Safe to call repeatedly."""
    global _LIBRARY
    if _LIBRARY is not None or _extension_loads():
        return
    _LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        _LIBRARY.define(schema)


def _extension_loads() -> bool:
    """Whether torchvision's compiled extension loads beside this torch; True when there is none to load."""
    spec = importlib.util.find_spec("torchvision")
    folders = list(spec.submodule_search_locations or []) if spec else []
    extensions = [path for folder in folders for path in Path(folder).glob("_C*.so")]
    if not extensions:
        return not folders
    try:
        torch.ops.load_library(str(extensions[0]))
    except OSError:
        return False
    return True


make_torchvision_importable()
