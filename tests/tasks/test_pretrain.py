"""The pretraining task goes on, or starts anew where what was kept is torn."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.pretrain import pretrain_model
from wilss.foundation.pretrain.run import FILE_NAMES, state_of, training_spec, weights_of

TINY = {"steps": 1, "batch_size": 2, "n_images": 8, "n_local": 1, "prototypes": 16}


def test_a_torn_state_is_said_and_the_training_starts_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    torn.mkdir()
    state = state_of(torn / FILE_NAMES["dino"])
    state.write_bytes(b"nonsense")
    first, second = (pretrain_model.fn("dino", TINY, tmp_path, folder, "cpu") for folder in (whole, torn))
    assert first.read_bytes()[-1000:] == second.read_bytes()[-1000:], "the weights of an undisturbed training"
    assert [path.name for path in torn.iterdir()] == [second.name]
    said = capsys.readouterr().err
    assert f"pretrain dino: '{state}', kept by a training that was stopped, is damaged" in said
    assert "training from the start" in said


def test_a_state_left_beside_whole_weights_goes_and_that_of_another_training_stays(tmp_path: Path) -> None:
    weights = pretrain_model.fn("dino", TINY, tmp_path, tmp_path, "cpu")
    clips = [weights_of("clip", training_spec("clip", {"tower": tower}), tmp_path) for tower in ("resnet", "vit")]
    left, *others = (state_of(path) for path in (weights, *clips))
    for state in (left, *others):
        state.write_bytes(b"of a training that was stopped")
    assert pretrain_model.fn("dino", TINY, tmp_path, tmp_path, "cpu") == weights
    assert {path.name for path in tmp_path.iterdir()} == {weights.name, *(other.name for other in others)}
    assert len(set(others)) == 2
