"""Trainings on several processes against the same on one: losses, weights, and that the ranks stay alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.wilss.trainings import TRAININGS
from wilss.parallel.launch import on_each


def on(count: int, names: list[str], folder: Path) -> Any:
    folder.mkdir()
    work = "tests.wilss.trainings:trained"
    return on_each(work, {"names": names, "folder": str(folder)}, ["cpu"] * count, lambda kind, content: None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any], Path]:
    """All trainings on one process and on two, and where the weights are."""
    folder = tmp_path_factory.mktemp("trainings")
    names = list(TRAININGS)
    return on(1, names, folder / "1"), on(2, names, folder / "2"), folder


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_learn_what_one_learns(name: str, runs: tuple[dict[str, Any], dict[str, Any], Path]) -> None:
    one, two, folder = runs
    (alone, _), (together, apart) = one[name], two[name]
    assert [set(epoch) for epoch in together] == [set(epoch) for epoch in alone]
    for mine, other in zip(together, alone, strict=True):
        assert mine == pytest.approx(other, abs=1e-4)
    assert apart == 0
    weights = [torch.load(folder / count / f"{name}.pt", weights_only=True) for count in ("1", "2")]
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_parts_of_fewer_images_than_processes_are_learnt_from_by_all(tmp_path: Path) -> None:
    """Batches of 6 in parts of 2 on three processes; the last batch is one part of 3, which they share."""
    name = "base, accumulated"
    one, three = on(1, [name], tmp_path / "1"), on(3, [name], tmp_path / "3")
    for mine, other in zip(three[name][0], one[name][0], strict=True):
        assert mine == pytest.approx(other, abs=1e-4)
    assert three[name][1] == 0
