"""The training loop of every step: batches in, loss terms out, optimisers stepped, state kept after each epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from wilss.data.order import Reading
from wilss.digest import digest_of
from wilss.errors import TornStateError, TrainingError
from wilss.learn.parts import drawn, own_of, split
from wilss.learn.schedule import (
    ANY,
    Rule,
    batches_per_epoch,
    epoch_batches,
    passes_of,
    rules_of,
)
from wilss.learn.spec import TrainSpec
from wilss.nets.batchnorm import freeze_batchnorm, synchronise_batchnorm
from wilss.nets.spec import Form
from wilss.nets.stages import last_stages, tune_last_stages
from wilss.nets.svf import apply_svf, fold, folded_state, load_svf_state, svf_state
from wilss.nets.vectors import Vectors
from wilss.parallel.learner import Learner, alone, together
from wilss.parallel.objective import Objective
from wilss.parallel.ranks import here
from wilss.precision import autocast
from wilss.progress import Progress
from wilss.state import HELD_OUT, History, best_epoch, read_state, write_state

SVF_STAGES = 3
"""Stages whose singular values are tuned, counted from the last (layers 2 to 4 of a ResNet, as in SVF)."""
LOOK_SECONDS = 2.0
"""The loss is read from the device at most this often: reading it makes the device wait."""

B = TypeVar("B")


@dataclass(frozen=True)
class Watch:
    """Who is told how it goes, and where the state of the last finite epoch is kept.

    Args:
        state: file that is written after every epoch and read by the next run of the same training; None keeps nothing.
    """

    stage: str
    progress: Progress | None = None
    state: Path | None = None


@dataclass
class Training(Generic[B]):
    """One training run of a student, in this process or, the same, on each of several (`wilss.parallel.ranks`).

    Args:
        draw: positions of the images of a batch -> those that are this rank's, on the student's device; it draws random
            numbers for all.
        ids: image ids by position, for messages.
        student: has a ``backbone``; everything else in it is a head.
        generators: every generator that the run draws from; the first one shuffles.
        reading: in which order images are read, and what is brought before.
        svf_layers: modules of the backbone whose singular values are tuned; its last three stages when left out.
        vectors: where singular values start, layer by layer (see `svf_state`), and after `run` where they ended; empty
            starts them as they are.
        make_rules: number of iterations -> optimisers; those of `wilss.learn.schedule.rules_of` when left out.
        score: how good the student is after an epoch, alike on every rank; that of the best epoch is what remains.
        patience: epochs without a better score after which the training ends; 0: none.
    """

    student: nn.Module
    objective: Objective[B]
    draw: Callable[[list[int]], B]
    ids: tuple[str, ...]
    spec: TrainSpec
    generators: tuple[torch.Generator, ...]
    watch: Watch
    reading: Reading = ANY
    svf_layers: tuple[str, ...] = ()
    svf_form: Form = "factor"
    make_rules: Callable[[int], list[Rule]] | None = None
    score: Callable[[], float] | None = None
    patience: int = 0
    history: History = field(default_factory=list)
    vectors: Vectors = field(default_factory=dict)
    best: dict[str, Tensor] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.device = next(self.student.parameters()).device
        for module in (self.student, *self.objective.heads()):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.spec.tuning == "frozen":
            self.backbone.requires_grad_(False)
        elif self.spec.tuning == "svf":
            names = self.svf_layers or last_stages(self.backbone, SVF_STAGES)
            apply_svf(self.backbone, names, self.svf_form)
            if self.vectors:
                load_svf_state(self.backbone, self.vectors)
        elif self.spec.tuned_stages:
            tune_last_stages(self.backbone, self.spec.tuned_stages)
        if here().count > 1:
            for module in (self.student, *self.objective.heads()):
                synchronise_batchnorm(module)
        self.passes = passes_of(len(self.ids), self.spec)
        self.per_epoch = self.passes * batches_per_epoch(len(self.ids), self.spec.batch_size)
        self.total = self.spec.epochs * self.per_epoch
        self.rules = self.make_rules(self.total) if self.make_rules else self._usual_rules()
        self.learner: Learner[B] = alone(self.objective)

    def _usual_rules(self) -> list[Rule]:
        heads = [p for name, p in self.student.named_parameters() if not name.startswith("backbone.")]
        heads += [p for module in self.objective.heads() for p in module.parameters()]
        return rules_of(self.spec, self.backbone.parameters(), heads, self.total)

    @property
    def backbone(self) -> nn.Module:
        """The part of the student that is tuned as ``spec.tuning`` says."""
        return cast(nn.Module, self.student.backbone)

    def run(self) -> History:
        """Train to the end, from the kept state where there is one; returns the mean loss terms of every epoch.

        Raises TrainingError that names the batch when a loss is not finite; `wilss.state.last_good` then has the
        epoch before; TornStateError for a kept state that is damaged or of another version.
        """
        here().require_same(digest_of({"ids": self.ids, "total": self.total}), self.device)
        self._resume()
        if here().count > 1:
            self._train_mode()  # which parameters learn is settled before they are wrapped
            self.learner = together(self.student, self.objective)
        for epoch in range(len(self.history), self.spec.epochs):
            if self.score and self.patience and epoch - best_epoch(self.history) >= self.patience:
                break
            self.history.append(self._epoch(epoch))
            self._judge()
            self._keep()
        if self.best is not None:
            self.student.load_state_dict(self.best)
        self.vectors = svf_state(self.backbone)
        fold(self.backbone)
        self.student.eval()
        return self.history

    def _epoch(self, epoch: int) -> dict[str, float]:
        self._train_mode()
        here().agree_on(self.generators, self.device)
        how = (len(self.ids), self.spec.batch_size, self.generators[0], self.reading)
        batches = [positions for _ in range(self.passes) for positions in epoch_batches(*how)]
        parts = [part for positions in batches for part in split(positions, self.spec.accumulate)]
        draws = drawn(self.reading.ahead(parts, own_of), self.draw, ahead=self.device.type == "cuda")
        sums: dict[str, Tensor] = {}
        bad = torch.full((), -1, device=self.device)  # number of the first batch whose loss is not finite
        looked = time.monotonic()
        for number, positions in enumerate(batches):
            terms = self._update(positions, epoch, draws)
            finite = torch.stack(list(terms.values())).isfinite().all()
            bad = torch.where((bad < 0) & ~finite, number, bad)
            for name, value in terms.items():
                sums[name] = sums[name] + value if name in sums else value
            if number + 1 == len(batches) or time.monotonic() - looked > LOOK_SECONDS:
                looked = time.monotonic()
                self._require_finite(int(bad), batches, epoch)
                if self.watch.progress:
                    done, mean = epoch * self.per_epoch + number + 1, float(sum(sums.values())) / (number + 1)
                    self.watch.progress(self.watch.stage, done, self.total, mean)
        self._require_finite_weights(epoch)
        return {name: float(value) / len(batches) for name, value in sums.items()}

    def _judge(self) -> None:
        """Score the student as it is after the last epoch, and remember the best one."""
        if self.score is None:
            return
        self.student.eval()
        self.history[-1][HELD_OUT] = self.score()
        if best_epoch(self.history) == len(self.history):
            self.best = {name: value.detach().clone() for name, value in self.student.state_dict().items()}

    def _update(self, positions: list[int], epoch: int, draws: Iterator[B]) -> dict[str, Tensor]:
        """One step of the optimisers, gradients summed over ``accumulate`` parts of the batch; returns the loss."""
        for rule in self.rules:
            rule.optimizer.zero_grad(set_to_none=True)
        totals: dict[str, Tensor] = {}
        parts = split(positions, self.spec.accumulate)
        for number, part in enumerate(parts):
            batch = next(draws)
            share = here().share(len(part)) * len(part) / len(positions)
            with here().learning_from(len(part)), self.learner.summing(number + 1 == len(parts)):
                with autocast(self.spec.precision, self.device):
                    terms = self.learner.losses(batch, epoch)
                (torch.stack(list(terms.values())).sum() * (share * self.learner.scale)).backward()
            for name, value in terms.items():
                totals[name] = totals.get(name, torch.zeros((), device=self.device)) + value.detach() * share
        for rule in self.rules:
            rule.optimizer.step()
            rule.schedule.step()
        if here().count > 1:
            of_all = here().summed(torch.stack(list(totals.values())))
            totals = dict(zip(totals, of_all.unbind(), strict=True))
        return totals

    def _train_mode(self) -> None:
        self.student.train()
        for module in self.objective.heads():
            module.train()
        if self.spec.freeze_batchnorm or self.spec.tuning != "full":
            freeze_batchnorm(self.backbone)

    def _require_finite(self, bad: int, batches: list[list[int]], epoch: int) -> None:
        if bad < 0:
            return
        names = ", ".join(self.ids[p] for p in batches[bad])
        raise TrainingError(
            f"{self.watch.stage}: the loss was not finite in epoch {epoch + 1}, batch {bad + 1} of {len(batches)}, on "
            f"the images {names}. Lower the learning rate, or set precision to fp32"
        )

    def _require_finite_weights(self, epoch: int) -> None:
        """A finite loss may have a gradient that is not: look at what it left."""
        for module in (self.student, *self.objective.heads()):
            for name, value in module.state_dict().items():
                if value.is_floating_point() and not bool(value.isfinite().all()):
                    raise TrainingError(
                        f"{self.watch.stage}: the weights '{name}' were not finite after epoch {epoch + 1}, though the "
                        "losses were. Lower the learning rate, or set precision to fp32"
                    )

    def _keep(self) -> None:
        """Write the state of a finished epoch, whole or not at all; the first rank's is that of all."""
        if self.watch.state is None or here().rank > 0:
            return
        content = {
            "student": self.student.state_dict(),
            "folded": folded_state(self.student) if self.spec.tuning == "svf" else None,
            "heads": [module.state_dict() for module in self.objective.heads()],
            "rules": [(rule.optimizer.state_dict(), rule.schedule.state_dict()) for rule in self.rules],
            "generators": [generator.get_state() for generator in self.generators],
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "history": self.history,
            "best": self.best,
        }
        write_state(self.watch.state, content)

    def _resume(self) -> None:
        if self.watch.state is None or not self.watch.state.is_file():
            return
        content = read_state(self.watch.state)
        if "rules" not in content:  # written by a version with one optimiser: begin again
            return
        try:
            self._restore(content)
        except (RuntimeError, ValueError, KeyError) as error:
            raise TornStateError(
                f"'{self.watch.state}' was left by another version of this training; delete it to train from the start"
            ) from error

    def _restore(self, content: dict[str, Any]) -> None:
        self.student.load_state_dict(content["student"])
        for module, state in zip(self.objective.heads(), content["heads"], strict=True):
            module.load_state_dict(state)
        for rule, (optimizer, schedule) in zip(self.rules, content["rules"], strict=True):
            rule.optimizer.load_state_dict(optimizer)
            rule.schedule.load_state_dict(schedule)
        for generator, state in zip(self.generators, content["generators"], strict=True):
            generator.set_state(state.cpu())
        torch.set_rng_state(content["torch"].cpu())
        if content.get("cuda") is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(content["cuda"].cpu(), self.device)
        self.history = list(content["history"])
        self.best = content.get("best")
