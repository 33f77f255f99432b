"""The pretraining loops learn from images and captions; tiny runs."""

from __future__ import annotations

import open_clip
import timm
import torch

import wilss.nets.scenes_vit  # noqa: F401  (registers vit_scenes)
from wilss.foundation.clip_towers import register_scenes_config
from wilss.foundation.pretrain.clip import ClipTraining, train_clip
from wilss.foundation.pretrain.dino import DinoTraining, train_dino
from wilss.foundation.pretrain.pairs import pretraining_pairs


def test_clip_loss_falls_on_few_pairs() -> None:
    register_scenes_config()
    torch.manual_seed(0)
    model = open_clip.create_model("clip_scenes")
    losses: list[float] = []
    spec = ClipTraining(steps=8, batch_size=8, image_size=48)
    train_clip(model, pretraining_pairs(24), spec, lambda step, steps, loss: losses.append(loss))
    assert len(losses) == 8
    assert sum(losses[-3:]) < sum(losses[:3])
    assert not model.training


def test_dino_ends_with_the_teacher_and_is_reproducible() -> None:
    images = pretraining_pairs(12).images
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        vit = timm.create_model("vit_scenes", depth=1, pretrained=False)
        before = {name: value.clone() for name, value in vit.state_dict().items()}
        train_dino(vit, images, DinoTraining(steps=2, batch_size=4, n_local=1, prototypes=16))
        states.append(vit.state_dict())
        assert any(not torch.equal(value, before[name]) for name, value in vit.state_dict().items())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
