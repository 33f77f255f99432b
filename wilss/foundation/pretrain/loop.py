"""What both pretrainings share: the loop over steps, learning-rate curve and resumable state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, isfinite, pi
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from wilss.digest import ALGORITHM_VERSION, digest_of
from wilss.errors import FormatError, TornStateError, TrainingError
from wilss.outputs import whole_file
from wilss.parallel.learner import alone, together
from wilss.parallel.objective import Objective
from wilss.parallel.ranks import here
from wilss.section import Section
from wilss.state import read_state, save_whole

B = TypeVar("B")
Progress = Callable[[int, int, float], None]
"""Called with (steps done, all steps, loss)."""


@dataclass(frozen=True)
class Steps(Generic[B]):
    """A training, step by step; what it draws and does is a function of the step alone, so that it can go on from any.

    count: all steps. batch_size: images of a step. save_every: steps between two states. draw: gives a step's batch,
    of which a process of several draws its own rows. rate: learning rate of a step. clip: most that the norm of the
    gradient may be. after: done when the weights have moved.
    """

    count: int
    batch_size: int
    save_every: int
    draw: Callable[[int], B]
    rate: Callable[[int], float]
    after: Callable[[int], None]
    clip: float | None = None


def learn_steps(
    student: nn.Module,
    objective: Objective[B],
    optimiser: torch.optim.Optimizer,
    steps: Steps[B],
    state: State,
    progress: Progress | None,
) -> None:
    """Take every step that the state does not have; by one process, or by several that share every batch.

    Raises TrainingError for a loss that is not finite; the last state stays.
    """
    first = state.load()
    learner = together(student, objective) if here().count > 1 else alone(objective)
    share = here().share(steps.batch_size)
    for step in range(first, steps.count):
        batch = steps.draw(step)
        set_rate(optimiser, steps.rate(step))
        with here().learning_from(steps.batch_size):
            loss = torch.stack(list(learner.losses(batch, step).values())).sum()
            value = _finite(here().summed(loss.detach() * share), step)
            optimiser.zero_grad(set_to_none=True)
            (loss * (share * learner.scale)).backward()
        if steps.clip is not None:
            nn.utils.clip_grad_norm_(student.parameters(), steps.clip)
        optimiser.step()
        with torch.no_grad():
            steps.after(step)
        if here().rank == 0 and (step + 1) % steps.save_every == 0:
            state.save(step + 1)
        if progress:
            progress(step + 1, steps.count, value)


def cosine(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up then half a cosine to zero; factor in [0, 1]."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + cos(pi * (step - warmup) / max(1, steps - warmup)))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def run_digest(spec: Section) -> str:
    """Digest of what a run was asked to do, and of the version of the code that does it."""
    return digest_of({"version": ALGORITHM_VERSION, "training": spec.plain()})


def _finite(loss: Tensor, step: int) -> float:
    value = float(loss)
    if not isfinite(value):
        raise TrainingError(f"the loss became {value} at step {step}; lower learning_rate and start in another folder")
    return value


class State:
    """Everything a run needs to go on, in one file that is replaced as a whole.

    Args:
        path: the file; None keeps nothing.
        digest: what the run was asked to do; a file of another run is refused.
        parts: modules, optimisers and tensors by name.
    """

    def __init__(self, path: Path | None, digest: str, parts: dict[str, Any]) -> None:
        self.path, self.digest, self.parts = path, digest, parts

    def load(self) -> int:
        """Restore every part; the number of steps already done, 0 without a file.

        Raises FormatError when the file belongs to other settings, TornStateError when it is damaged.
        """
        if self.path is None or not self.path.is_file():
            return 0
        saved = read_state(self.path)
        if saved.get("digest") != self.digest:
            raise FormatError(f"'{self.path}' was left by other settings; delete it or choose another folder")
        try:
            return self._restore(saved)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise TornStateError(
                f"'{self.path}' was left by another version of this training; delete it to train from the start"
            ) from error

    def _restore(self, saved: dict[str, Any]) -> int:
        for name, part in self.parts.items():
            if isinstance(part, torch.Tensor):
                part.copy_(saved["parts"][name])
            else:
                part.load_state_dict(saved["parts"][name])
        return int(saved["step"])

    def save(self, step: int) -> None:
        """Write all parts; a reader sees the old file or the new one."""
        if self.path is None:
            return
        values = {
            name: part if isinstance(part, torch.Tensor) else part.state_dict() for name, part in self.parts.items()
        }
        with whole_file(self.path) as partial:
            save_whole({"digest": self.digest, "step": step, "parts": values}, partial)


def set_output_stride(trunk: nn.Module, template: nn.Module) -> None:
    """Give every convolution of ``trunk`` the stride, padding and dilation of the same one in ``template``.

    A ResNet computes the same features at any output stride, on a coarser or a finer grid; training on the coarse one
    costs less than half.
    """
    for mine, other in zip(trunk.modules(), template.modules(), strict=True):
        if isinstance(mine, nn.Conv2d) and isinstance(other, nn.Conv2d):
            mine.stride, mine.padding, mine.dilation = other.stride, other.padding, other.dilation
