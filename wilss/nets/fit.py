"""Whether a file holds the tensors of the network that its card describes, before any memory is taken for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from wilss.damage import reading
from wilss.errors import FormatError

Shapes = dict[str, tuple[int, ...]]


def shapes_in(path: Path) -> Shapes:
    """Shapes of a safetensors file by name, from its header alone. Raises DamagedArtefactError."""
    with reading(path.parent, path.name), safe_open(path, "pt") as handle:
        return {name: tuple(handle.get_slice(name).get_shape()) for name in handle.keys()}  # noqa: SIM118


def require_fit(make: Callable[[], nn.Module], path: Path, prefix: str = "") -> None:
    """Raise FormatError unless the file holds just the tensors of the network that ``make`` builds.

    A card of a few bytes may describe a network of terabytes; it is built without memory first.

    Args:
        prefix: beginning of the names of the tensors that are meant; others may be there.
    """
    with torch.device("meta"):
        wanted = {f"{prefix}{name}": tuple(value.shape) for name, value in make().state_dict().items()}
    held = {name: shape for name, shape in shapes_in(path).items() if name.startswith(prefix)}
    if held != wanted:
        odd = min(name for name in held.keys() | wanted.keys() if held.get(name) != wanted.get(name))
        raise FormatError(
            f"'{path}' does not hold the network that is described beside it: '{odd[:100]}' is {held.get(odd)}, "
            f"described is {wanted.get(odd)}; take its folder anew, or delete it and run again"
        )


def load_into(model: nn.Module, state: Mapping[str, Tensor], where: Path | str) -> None:
    """Put a state into a network. Raises FormatError for the state of another one."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"'{where}' is damaged or of another network ({reason}); delete it and run again") from error
