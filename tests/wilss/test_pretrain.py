"""Pretraining learns from images and captions, and a stopped run ends with the weights of an uninterrupted one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import wilss.nets.scenes_vit  # noqa: F401  (registers vit_scenes)
from tests.wilss.on_ranks import facts_of_pairs, on_two
from wilss import precision
from wilss.data.spec import World
from wilss.errors import FormatError, SpecError, TornStateError
from wilss.foundation.clip_towers import new_scenes_clip
from wilss.foundation.loading import load_clip
from wilss.foundation.pretrain.clip import ClipTraining, Phase, train_clip
from wilss.foundation.pretrain.dino import DinoTraining, train_dino
from wilss.foundation.pretrain.loop import run_digest, set_output_stride
from wilss.foundation.pretrain.pairs import SCENES_WORLD, Pairs, batch_index, draw_pairs
from wilss.foundation.pretrain.run import pretrain, training_spec
from wilss.state import write_state

TINY = ClipTraining(
    phases=(
        Phase(pairs="easy", steps=3, image_size=48),
        Phase(pairs="scenes", steps=3, image_size=48, output_stride=8),
    ),
    n_easy=24,
    n_scenes=24,
    batch_size=8,
    save_every=2,
)


class Stop(Exception):
    """Stands for a kill."""


def stop_after(step: int):  # type: ignore[no-untyped-def]
    def progress(done: int, steps: int, loss: float) -> None:
        if done == step:
            raise Stop

    return progress


@pytest.fixture(scope="module")
def pools() -> dict[str, Pairs]:
    return {"easy": draw_pairs(World(max_objects=1, seed=7), 24), "scenes": draw_pairs(World(seed=7), 24)}


def trained(pools: dict[str, Pairs], state: Path | None, stop: int | None = None) -> dict[str, torch.Tensor]:
    torch.manual_seed(TINY.seed)
    model = new_scenes_clip()
    train_clip(model, pools, TINY, state, stop_after(stop) if stop else None)
    assert not model.training
    return dict(model.state_dict())


def test_clip_loss_falls_on_few_pairs(pools: dict[str, Pairs]) -> None:
    losses: list[float] = []
    torch.manual_seed(0)
    spec = ClipTraining(phases=(Phase(pairs="scenes", steps=9, image_size=48),), batch_size=8)
    train_clip(new_scenes_clip(), pools, spec, None, lambda step, steps, loss: losses.append(loss))
    assert len(losses) == 9
    assert sum(losses[-3:]) < sum(losses[:3])


@pytest.mark.parametrize("stop", [3, 5])
def test_a_stopped_clip_run_goes_on_as_if_nothing_had_happened(
    pools: dict[str, Pairs], tmp_path: Path, stop: int
) -> None:
    whole = trained(pools, None)
    with pytest.raises(Stop):
        trained(pools, tmp_path / "state.pt", stop)
    resumed = trained(pools, tmp_path / "state.pt")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_state_of_other_settings_is_refused(pools: dict[str, Pairs], tmp_path: Path) -> None:
    with pytest.raises(Stop):
        trained(pools, tmp_path / "state.pt", 3)
    other = TINY.model_copy(update={"learning_rate": 1e-4})
    with pytest.raises(FormatError, match="was left by other settings"):
        train_clip(new_scenes_clip(), pools, other, tmp_path / "state.pt")


def test_a_stopped_dino_run_goes_on_as_if_nothing_had_happened(pools: dict[str, Pairs], tmp_path: Path) -> None:
    spec = DinoTraining(steps=4, batch_size=4, n_local=1, prototypes=16, save_every=2)

    def run(state: Path | None, stop: int | None = None) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        vit = timm.create_model("vit_scenes", depth=1, pretrained=False)
        start = {name: value.clone() for name, value in vit.state_dict().items()}
        train_dino(vit, pools["scenes"].images, spec, state, stop_after(stop) if stop else None)
        assert any(not torch.equal(value, start[name]) for name, value in vit.state_dict().items())
        return dict(vit.state_dict())

    whole = run(None)
    with pytest.raises(Stop):
        run(tmp_path / "state.pt", 3)
    resumed = run(tmp_path / "state.pt")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("hardware", [False, True])
def test_bf16_is_for_hardware_that_has_it(
    hardware: bool, pools: dict[str, Pairs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda device: hardware)
    seen: list[bool] = []

    def note(*_: object) -> None:
        seen.append(torch.is_autocast_enabled("cpu"))

    vit, clip = timm.create_model("vit_scenes", depth=1, pretrained=False), new_scenes_clip()
    vit.patch_embed.register_forward_pre_hook(note)
    clip.visual.trunk.conv1.register_forward_pre_hook(note)  # type: ignore[union-attr, operator]
    train_dino(vit, pools["scenes"].images, DinoTraining(steps=1, batch_size=2, n_local=1, prototypes=16))
    train_clip(clip, pools, ClipTraining(phases=(Phase(pairs="easy", steps=1, image_size=48),), batch_size=2))
    assert set(seen) == {hardware}
    assert len(seen) >= 3


def test_one_command_writes_weights_that_load_by_name(tmp_path: Path) -> None:
    seen: list[str] = []

    def progress(stage: str):  # type: ignore[no-untyped-def]
        return lambda done, total, loss: seen.append(stage)

    path = pretrain("clip", TINY, tmp_path / "out", progress)
    assert set(seen) == {"draw pairs", "train clip"}
    assert {p.name for p in path.parent.iterdir()} == {"clip_scenes.safetensors"}
    with safe_open(path, "pt") as handle:
        assert ClipTraining.model_validate_json(handle.metadata()["training"]) == TINY
    assert load_clip(f"scenes@{path}", None).digest != load_clip("scenes", None).digest
    stamp = path.stat().st_mtime_ns
    assert pretrain("clip", TINY, tmp_path / "out", progress).stat().st_mtime_ns == stamp
    with pytest.raises(FormatError, match="was trained with other settings; choose another folder"):
        pretrain("clip", TINY.model_copy(update={"seed": 1}), tmp_path / "out", progress)


@pytest.mark.slow
def test_two_devices_go_on_from_one_and_write_what_one_writes(tmp_path: Path) -> None:
    losses: dict[str, list[float]] = {"one": [], "two": []}

    def told(name: str, stop: int | None = None):  # type: ignore[no-untyped-def]
        def progress(stage: str):  # type: ignore[no-untyped-def]
            def moved(done: int, total: int, loss: float) -> None:
                if stage == "train clip":
                    losses[name].append(loss)
                    if done == stop:
                        raise Stop

            return moved

        return progress

    spec = TINY.model_copy(update={"learning_rate": 1e-4})
    whole = pretrain("clip", spec, tmp_path / "whole", told("one"))
    with pytest.raises(Stop):
        pretrain("clip", spec, tmp_path / "shared", told("two", 3))
    shared = pretrain("clip", spec, tmp_path / "shared", told("two"), ("cpu", "cpu"))
    assert [path.name for path in shared.parent.iterdir()] == [shared.name]
    one, again = losses["one"], losses["two"][3:]
    assert again == pytest.approx(one[2:], abs=0.02)  # of which bf16 is most
    mine, other = load_file(shared), load_file(whole)
    assert mine.keys() == other.keys()
    apart = torch.cat([(mine[key].float() - other[key].float()).flatten() for key in mine])
    moved = torch.cat([(other[key].float() - start.float()).flatten() for key, start in started(other).items()])
    assert apart.norm() < 0.1 * moved.norm()
    with safe_open(shared, "pt") as handle:
        assert "2 x cpu" in handle.metadata()["compute"]


@pytest.mark.slow
def test_two_processes_draw_what_one_draws(tmp_path: Path) -> None:
    """Fourteen pairs in shards of five, of which one process draws two."""
    pairs = draw_pairs(SCENES_WORLD, 14, shard=5)
    assert on_two("drawn", folder=str(tmp_path / "pairs")) == [facts_of_pairs(pairs), [5, 14]]
    assert list(tmp_path.iterdir()) == [], "what is mapped has no name that would be left behind"


def started(named: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights with which the training of `TINY` begins."""
    torch.manual_seed(TINY.seed)
    state = new_scenes_clip().state_dict()
    return {key: state[key] for key in named}


def test_a_batch_that_devices_cannot_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"batch_size is 8, which 3 devices cannot share alike; take --set batch_size=6"
    ):
        pretrain("clip", TINY, tmp_path / "out", lambda stage: lambda done, total, loss: None, ("cpu",) * 3)
    assert not (tmp_path / "out").exists()


def test_a_damaged_result_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "clip_scenes.safetensors").write_bytes(b"nonsense")
    with pytest.raises(FormatError, match=r"is damaged .* delete it to train again"):
        pretrain("clip", TINY, tmp_path, lambda stage: lambda done, total, loss: None)


def test_damaged_state_is_told_in_words(pools: dict[str, Pairs], tmp_path: Path) -> None:
    (tmp_path / "state.pt").write_bytes(b"nonsense")
    with pytest.raises(TornStateError, match="is damaged; delete it to train from the start"):
        trained(pools, tmp_path / "state.pt")
    spec = TINY.model_copy(update={"learning_rate": 1e-4})
    write_state(tmp_path / "state.pt", {"digest": run_digest(spec), "step": 2, "parts": {}})
    with pytest.raises(TornStateError, match="was left by another version of this training"):
        train_clip(new_scenes_clip(), pools, spec, tmp_path / "state.pt")


def test_output_stride_changes_the_grid_and_not_the_features() -> None:
    torch.manual_seed(0)
    coarse, fine = (
        timm.create_model("resnet_scenes", num_classes=0, output_stride=stride).eval() for stride in (16, 8)
    )
    fine.load_state_dict(coarse.state_dict())
    images = torch.rand(1, 3, 64, 64)
    expected = coarse.forward_features(images)
    torch.testing.assert_close(fine.forward_features(images)[..., ::2, ::2], expected, atol=1e-4, rtol=1e-4)
    set_output_stride(fine, coarse)
    assert torch.equal(fine.forward_features(images), expected)


def test_batches_visit_every_sample_once_an_epoch() -> None:
    seen = torch.cat([batch_index(12, 4, step, 0) for step in range(3)])
    assert sorted(seen.tolist()) == list(range(12))
    assert not torch.equal(batch_index(12, 4, 0, 0), batch_index(12, 4, 3, 0))
    with pytest.raises(ValueError, match="lower batch_size"):
        batch_index(3, 4, 0, 0)


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        ("klip", {}, "no pretraining of 'klip'. Did you mean 'clip'"),
        (
            "clip",
            {"batchsize": "3"},
            "cannot be used: unknown key 'batchsize'. Did you mean 'batch_size'",
        ),
        (
            "dino",
            {"steps": "many"},
            "dino training cannot be used: 'steps' is 'many': input should be a valid integer",
        ),
        ("clip", {"phases": {"steps": "3"}}, "settings of the clip training cannot be used: 'phases'"),
        ("clip", {"seed": ""}, "settings of the clip training cannot be used: 'seed' is '': input should be a valid"),
        ("dino", {"n_images": "10"}, "batch_size 48 is larger than n_images 10"),
        ("dino", {"image_size": "100"}, "must be a multiple of 16"),
    ],
)
def test_wrong_settings_are_told_in_words(model: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        training_spec(model, changes)
