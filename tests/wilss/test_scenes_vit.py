"""``clip:scenes`` with a ViT: trained, written, loaded, and asked for by every block."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from wilss.errors import SpecError, WeightsNotFoundError
from wilss.foundation.clip import ClipScorer
from wilss.foundation.clip_towers import new_scenes_clip
from wilss.foundation.loading import SCENES_FILE, SCENES_FILES, load_clip
from wilss.foundation.pretrain.clip import VIT_PHASES, ClipTraining, Phase, begin_with_scenes
from wilss.foundation.pretrain.loop import Progress, run_digest
from wilss.foundation.pretrain.run import pretrain, training_spec, write_weights
from wilss.foundation.quality import image_level_recall
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_scorer
from wilss.nets.pretrained import read_weights

PHASES = (Phase(pairs="easy", steps=5, image_size=32), Phase(pairs="scenes", steps=2, image_size=40, output_stride=8))
TINY = ClipTraining(tower="vit", phases=PHASES, n_easy=8, n_scenes=8, batch_size=8)


def test_the_tower_leaves_other_trainings_as_they_were() -> None:
    assert "tower" not in ClipTraining().plain()
    assert run_digest(ClipTraining(tower="vit")) != run_digest(ClipTraining())


def test_a_vit_begins_with_the_text_and_the_convolutions_that_ship() -> None:
    net, untouched = new_scenes_clip("vit"), new_scenes_clip("vit")
    begin_with_scenes(net)
    shipped = read_weights(SCENES_FILE)
    torch.testing.assert_close(net.token_embedding.weight, shipped["token_embedding.weight"])
    first = "patch_embed.backbone.conv1.0.weight"
    torch.testing.assert_close(net.visual.trunk.get_parameter(first), shipped["visual.trunk.conv1.0.weight"])
    assert not torch.equal(untouched.token_embedding.weight, net.token_embedding.weight)
    running = dict(net.visual.trunk.named_buffers())["patch_embed.backbone.layer2.0.bn1.running_mean"]
    torch.testing.assert_close(running, shipped["visual.trunk.layer2.0.bn1.running_mean"])


def test_what_a_training_begins_with() -> None:
    assert not ClipTraining().begins_with_scenes
    assert ClipTraining(tower="vit").begins_with_scenes
    assert not ClipTraining(tower="vit", start="random").begins_with_scenes
    assert ClipTraining(tower="vit").phases == VIT_PHASES
    assert ClipTraining(tower="vit", learning_rate=3e-3).learning_rate == 3e-3
    with pytest.raises(SpecError, match="start=scenes is for tower=vit"):
        training_spec("clip", {"start": "scenes"})


def test_it_learns_and_its_file_is_small_and_scores_by_every_block(tmp_path: Path) -> None:
    losses: dict[str, list[float]] = {}

    def stage(name: str) -> Progress:
        return lambda done, total, loss: losses.setdefault(name, []).append(loss)

    path = pretrain("clip", TINY, tmp_path, stage)
    assert len(losses["train clip"]) == 7
    assert min(losses["train clip"][3:5]) < losses["train clip"][0]
    assert path.name == "clip_scenes_vit.safetensors"
    assert path.stat().st_size <= 8_000_000
    images = torch.rand(1, 3, 48, 64)
    found = []
    for block in ("naclip", "proxy"):
        spec = FoundationSpec(scorer=f"clip:scenes@{path}", block=block, precision="fp32")  # type: ignore[arg-type]
        found.append(build_scorer(spec).scores(images, [["star"], ["ring"]]))
    assert all(scores.shape == (1, 2, 6, 8) for scores in found)
    assert load_clip(f"scenes-vit@{path}", None).digest == load_clip(f"scenes@{path}", None).digest


def test_a_file_that_lacks_a_part_is_refused(tmp_path: Path) -> None:
    state = {
        name: value for name, value in new_scenes_clip("vit").state_dict().items() if name != "visual.head.proj.weight"
    }
    write_weights(state, tmp_path / "odd.safetensors", {})
    with pytest.raises(
        WeightsNotFoundError, match=r"does not fit clip_scenes_vit\.json, first at 'visual\.head\.proj\.weight'"
    ):
        load_clip(f"scenes@{tmp_path / 'odd.safetensors'}", None)


def test_the_one_that_ships_is_small_and_knows_what_an_image_shows() -> None:
    path = SCENES_FILES["scenes-vit"]
    assert path.stat().st_size <= 8_000_000
    with safe_open(path, "pt") as handle:
        notes = handle.metadata()
    assert notes["licence"] == "Apache-2.0"
    assert ClipTraining.model_validate_json(notes["training"]) == ClipTraining(tower="vit")
    scorer = build_scorer(FoundationSpec(scorer="clip:scenes-vit", block="naclip"))
    assert isinstance(scorer, ClipScorer)
    assert image_level_recall(scorer, 100) > 0.85
