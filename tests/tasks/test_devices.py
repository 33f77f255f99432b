"""Trainings on several devices as tasks: the same artefacts, resumed on another number, and refused in time."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from stores.artefacts import ArtefactRef
from stores.models.training import STATE
from stores.plans.fewshot_run import FewShotRun
from stores.plans.run import Run
from stores.plans.session import Session
from tasks.fewshot_train import stage1_net
from tasks.train import base_student, memory_bank, step_student
from tests.stores.damage import _label
from tests.wilss.test_launch import there, until
from wilss.errors import SpecError, TrainingError
from wilss.fewshot.spec import make_fewshot_spec
from wilss.learn.loop import Training
from wilss.models.card import FewShotCard, StudentCard, load_card
from wilss.settings import Settings
from wilss.spec import make_spec
from wilss.state import last_good

FP32 = {"precision": "fp32", "lr_backbone": 1e-3, "lr_head": 1e-3}
"""Rates at which rounding, which differs, does not grow."""
FEW = {"n_train": 64, "n_eval": 8}


def opened(root: Path, devices: int, said: list[str] | None = None, **changes: Any) -> Run:
    content = {"benchmark": "scenes-15-5", "preset": "tiny", "base": FP32, "step": FP32, "data": FEW, **changes}
    settings = Settings(root=root, device="cpu", devices=devices)
    return Run(make_spec(content), Session(settings, (said if said is not None else []).append))


def built(run: Run) -> list[ArtefactRef]:
    base, bank = base_student.fn(run), memory_bank.fn(run)
    return [base, step_student.fn(run, 1, base, _label(run), bank)]


@pytest.mark.slow
def test_two_processes_make_the_artefacts_of_one(tmp_path: Path) -> None:
    """Base and step with teacher, bank and augmentation: digests, losses, and the teacher's masks.

    Without hard labels: where two outputs are as good as equal, rounding decides who is the highest, and each cell that
    it decides about moves the student's loss by 0.003.
    """
    said: list[str] = []
    soft = {"fmwiss": {"alpha": 0}}
    one, two = opened(tmp_path / "1", 1, **soft), opened(tmp_path / "2", 2, said, **soft)
    refs = built(one), built(two)
    assert [ref.digest for ref in refs[1]] == [ref.digest for ref in refs[0]]
    assert refs[1] == refs[0], "as many images"
    for ref in refs[0]:
        cards = [load_card(run.store.folder(ref), StudentCard) for run in (one, two)]
        for mine, other in zip(cards[1].history, cards[0].history, strict=True):
            assert mine == pytest.approx(other, abs=1e-3)
        assert cards[1].model_copy(update={"history": cards[0].history}) == cards[0]
    assert two.store.find(two.plan["final labels 1"].recipe) is not None
    assert "base student: 2 processes on cpu" in said
    assert not list((tmp_path / "2").glob("*/.staging-*")), "nothing is left of the processes"


@pytest.mark.slow
def test_stage_one_of_few_shot_learns_alike(tmp_path: Path) -> None:
    content = {"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", "head": "bam", "stage1": FP32}
    histories = []
    for devices in (1, 2):
        settings = Settings(root=tmp_path / str(devices), device="cpu", devices=devices)
        run = FewShotRun(make_fewshot_spec(content), Session(settings, lambda text: None))
        card = load_card(run.store.folder(stage1_net.fn(run, None)), FewShotCard)
        histories.append(card.history)
    assert [set(epoch) for epoch in histories[1]] == [set(epoch) for epoch in histories[0]]
    for mine, other in zip(histories[1], histories[0], strict=True):
        assert mine == pytest.approx(other, abs=0.2), "dropout is each process's own"


def ranks_of(parent: int) -> list[int]:
    """Processes of trainings that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields, command = stat.read_text().rsplit(")", 1)[1].split(), (stat.parent / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == parent and "wilss.parallel.process" in command:
            found.append(int(stat.parent.name))
    return sorted(found)


@pytest.mark.slow
def test_a_killed_process_ends_all_and_the_next_start_goes_on_with_another_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = {**FP32, "epochs": 8}
    run, raised = opened(tmp_path, 2, base=base), []

    def train() -> None:
        try:
            base_student.fn(run)
        except TrainingError as error:
            raised.append(str(error))

    thread = Thread(target=train)
    thread.start()
    state = run.store.staging("checkpoints", run.plan["checkpoint 0"].recipe.digest) / STATE
    assert until(state.is_file, 120)
    both = ranks_of(os.getpid())
    assert len(both) == 2
    os.kill(both[1], signal.SIGKILL)
    thread.join(10)
    assert not thread.is_alive()
    assert not any(map(there, both))
    assert "process 2 of 2 of the training was ended by SIGKILL" in raised[0]
    kept = last_good(state)
    assert kept is not None
    done, begun = len(kept[1]), []
    plain = Training._epoch
    monkeypatch.setattr(Training, "_epoch", lambda self, epoch: begun.append(epoch) or plain(self, epoch))
    again = opened(tmp_path, 1, base=base)
    history = load_card(again.store.folder(base_student.fn(again)), StudentCard).history
    assert begun == list(range(done, 8))
    assert history[:done] == kept[1]
    whole = opened(tmp_path / "whole", 1, base=base)
    expected = load_card(whole.store.folder(base_student.fn(whole)), StudentCard).history
    for mine, other in zip(history, expected, strict=True):
        assert mine == pytest.approx(other, abs=1e-3)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"device": "cpu", "devices": 1000},
            r"1000 devices were asked for, and here are \d+ processor cores?; take",
        ),
        ({"device": "mps", "devices": 2}, "device 'mps' is not available here"),
        ({"device": "cuda", "devices": 2}, "device 'cuda' is not available here"),
    ],
)
def test_devices_that_are_not_there_are_refused(
    tmp_path: Path, settings: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SpecError, match=said):
        Session(Settings(root=tmp_path, **settings))


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"base": {"batch_size": 5}}, "base.batch_size"), ({"step": {"batch_size": 7}}, "step.batch_size")],
)
def test_a_batch_that_does_not_divide_is_refused_before_anything_is_computed(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(SpecError, match=rf"{named} is \d, which 2 devices cannot share alike; take --set {named}="):
        opened(tmp_path, 2, **changes)
    opened(tmp_path, 1, **changes)
    assert not list(tmp_path.iterdir())


def test_few_shot_batches_that_do_not_divide_are_refused_too(tmp_path: Path) -> None:
    content = {"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", "head": "bam"}
    session = Session(Settings(root=tmp_path, device="cpu", devices=2), lambda text: None)
    for part in ({"train": {"batch_size": 3}}, {"stage1": {"batch_size": 3}}):
        with pytest.raises(SpecError, match=r"batch_size is 3, which 2 devices cannot share alike"):
            FewShotRun(make_fewshot_spec({**content, **part}), session)


def test_devices_are_in_no_digest(tmp_path: Path) -> None:
    one, two = opened(tmp_path, 1), opened(tmp_path, 2)
    assert {name: node.recipe.digest for name, node in one.plan.items()} == {
        name: node.recipe.digest for name, node in two.plan.items()
    }
