"""``clip:scenes`` with a ViT: trained, written, loaded, and asked for by every block."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wilss.errors import WeightsNotFoundError
from wilss.foundation.clip_towers import new_scenes_clip, pooled
from wilss.foundation.loading import load_clip
from wilss.foundation.pretrain.clip import ClipTraining, Phase
from wilss.foundation.pretrain.loop import Progress, run_digest
from wilss.foundation.pretrain.run import pretrain, write_weights
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_scorer

PHASES = (Phase(pairs="easy", steps=5, image_size=32), Phase(pairs="scenes", steps=2, image_size=40, output_stride=8))
TINY = ClipTraining(tower="vit", phases=PHASES, n_easy=8, n_scenes=8, batch_size=8)


def test_the_tower_leaves_other_trainings_as_they_were() -> None:
    assert "tower" not in ClipTraining().plain()
    assert run_digest(ClipTraining(tower="vit")) != run_digest(ClipTraining())


@torch.inference_mode()
def test_the_class_token_is_the_towers_own() -> None:
    visual = new_scenes_clip("vit").visual.eval()
    images = torch.randn(2, 3, 96, 96)
    torch.testing.assert_close(pooled(visual, images) @ visual.proj, visual(images), atol=1e-5, rtol=1e-5)
    assert pooled(visual, torch.randn(1, 3, 48, 64)).shape == (1, 96)


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
    state = {name: value for name, value in new_scenes_clip("vit").state_dict().items() if name != "visual.proj"}
    write_weights(state, tmp_path / "odd.safetensors", {})
    with pytest.raises(WeightsNotFoundError, match=r"does not fit clip_scenes_vit\.json, first at 'visual\.proj'"):
        load_clip(f"scenes@{tmp_path / 'odd.safetensors'}", None)
