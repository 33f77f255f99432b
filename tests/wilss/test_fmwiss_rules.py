"""Rules for many steps inside FMWISS: who owns a place, what is frozen, and that they are off by default."""

from __future__ import annotations

import re
import sys

import pytest
import torch
from torch import Tensor

import wilss.learn.methods.fmwiss as module
from tests.wilss.test_methods import batch, context
from wilss.errors import SpecError
from wilss.learn.methods.fmwiss import Fmwiss
from wilss.learn.methods.spec import FmwissSpec

N_OLD = 16


def targets(monkeypatch: object, old: Tensor, **settings: object) -> tuple[Tensor, Tensor]:
    """The student's target at the cells, without a teacher unless asked, for an old model that says this everywhere.

    Returns the target and the share of the new class's pseudo-mask in each cell.
    """
    chosen = {"teacher": False, "warmup_epochs": 0, "alpha": 1.0, "encoder_weight": 0.0} | settings
    method = Fmwiss(context(**chosen))
    kept: dict[str, Tensor] = {}

    def keep(logits: Tensor, target: Tensor) -> Tensor:
        kept["target"] = target
        return logits.sum()

    features = torch.ones(3, method.context.student.in_channels, 4, 4)
    probability = old[None, :, None, None].expand(3, -1, 4, 4)
    object.__setattr__(method.context, "look_back", lambda images: (features, probability))
    monkeypatch.setattr(module, "student_loss", keep)  # type: ignore[attr-defined]
    shown = batch()
    method.losses(shown, epoch=0)
    masks = torch.nn.functional.adaptive_avg_pool2d(shown.require_masks()[:, 1].float(), (4, 4))
    return kept["target"], masks


def seeing(channel: int, probability: float) -> Tensor:
    old = torch.full((N_OLD,), 0.01)
    old[channel] = probability
    return old


def test_by_default_old_and_new_may_both_have_a_place(monkeypatch: object) -> None:
    target, masks = targets(monkeypatch, seeing(5, 0.9))
    free = target[1:]  # nothing is pasted into these
    assert torch.allclose(free[:, 5], torch.full_like(free[:, 5], 0.9))
    assert torch.allclose(free[:, N_OLD + 1], masks[1:])


def test_cell_by_cell_a_place_has_one_owner(monkeypatch: object) -> None:
    target, masks = targets(monkeypatch, seeing(5, 0.9), arbitration="cells")
    new = (masks > 0.6)[1:]
    assert new.any()
    assert (masks[1:][~new] > 0).any()
    assert (target[1:, 5][new] == 0).all()
    assert (target[1:, N_OLD + 1][new] > 0.6).all()
    assert torch.allclose(target[1:, 5][~new], torch.tensor(0.9))
    assert (target[1:, N_OLD + 1][~new] == 0).all()


def test_where_the_old_model_sees_background_a_new_class_keeps_what_it_has(monkeypatch: object) -> None:
    target, masks = targets(monkeypatch, seeing(0, 0.9), arbitration="cells")
    assert torch.allclose(target[1:, N_OLD + 1], masks[1:])


def test_a_region_is_decided_as_a_whole(monkeypatch: object) -> None:
    """All features are alike, so that an image is one region, of which the pseudo-mask has a quarter."""
    target, _ = targets(monkeypatch, seeing(5, 0.9), arbitration="regions")
    assert (target[1:, N_OLD + 1] == 0).all()
    target, masks = targets(monkeypatch, seeing(5, 0.9), arbitration="regions", region_share=0.1)
    assert (target[1:, 5] == 0).all()
    assert torch.allclose(target[1:, N_OLD + 1], masks[1:])


def test_pseudo_masks_lose_what_is_not_theirs_if_asked(monkeypatch: object) -> None:
    """What the teacher learns from is seen by its loss of the new classes."""
    learnt: list[Tensor] = []

    def keep(logits: Tensor, masks: Tensor, valid: Tensor | None) -> Tensor:
        learnt.append(masks)
        return logits.sum()

    monkeypatch.setattr(module, "new_class_loss", keep)  # type: ignore[attr-defined]
    for asked in (False, True):
        targets(
            monkeypatch, seeing(5, 0.9), teacher=True, arbitration="cells", region_share=0.6, arbitrate_labels=asked
        )
    plain, arbitrated = (one[1:, 1] for one in learnt)
    own = plain > 0.6
    assert own.any()
    assert ((plain > 0) & ~own).any()
    assert torch.equal(arbitrated, plain * own)


def test_a_warm_up_does_not_ask_who_owns_what(monkeypatch: object) -> None:
    asked: list[int] = []

    def ask(features: Tensor, least: float) -> Tensor:
        asked.append(1)
        return torch.zeros(features.shape[0], *features.shape[-2:], dtype=torch.int64)

    monkeypatch.setattr(module, "affine_regions", ask)  # type: ignore[attr-defined]
    for labels, times in ((False, [0, 1]), (True, [1, 2])):
        asked.clear()
        method = Fmwiss(context(arbitration="cells", arbitrate_labels=labels, warmup_epochs=1))
        for epoch in (0, 1):
            method.losses(batch(), epoch=epoch)
            assert len(asked) == times[epoch]


def test_superpixels_decide_on_the_images_that_are_learnt_from(monkeypatch: object) -> None:
    asked: list[tuple[torch.Size, tuple[int, int], int]] = []

    def whole(images: Tensor, cells: tuple[int, int], count: int) -> Tensor:
        asked.append((images.shape, cells, count))
        return torch.arange(len(images))[:, None, None].expand(-1, 2 * cells[0], 2 * cells[1])

    monkeypatch.setattr(module, "superpixels", whole)  # type: ignore[attr-defined]
    monkeypatch.setattr(FmwissSpec, "require", lambda self, name: None)  # type: ignore[attr-defined]
    chosen = {"arbitration": "superpixels", "superpixels": 7, "region_share": 0.01}
    target, masks = targets(monkeypatch, seeing(5, 0.9), **chosen)
    assert asked == [(batch().images.shape, (4, 4), 7)]
    assert masks[1:].any()
    assert (target[1:, 5] == 0).all(), "each image is one superpixel, and a new one"


def test_superpixels_without_their_package_are_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    said = "fmwiss.arbitration=superpixels needs the package skimage, which is not here; pip install "
    with pytest.raises(SpecError, match=re.escape(said + "'wilss[superpixels]'")):
        Fmwiss(context(arbitration="superpixels"))
    Fmwiss(context(arbitration="regions"))


def test_pseudo_masks_that_contradict_the_old_model_go(monkeypatch: object) -> None:
    for probability, gone in ((0.9, True), (0.6, False)):
        target, masks = targets(monkeypatch, seeing(5, probability), most_contradiction=0.7)
        assert torch.allclose(target[1:, N_OLD + 1], torch.zeros_like(masks[1:]) if gone else masks[1:])


@pytest.mark.parametrize(
    ("arbitration", "share"),
    [("none", 0.6), ("cells", 0.6), ("cells", 0.01), ("regions", 0.01), ("superpixels", 0.01)],
)
def test_pasted_instances_keep_their_class_whoever_owns_the_rest(
    arbitration: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if arbitration == "superpixels":
        pytest.importorskip("skimage", reason="needs the extra 'superpixels'")
    chosen = {"arbitration": arbitration, "region_share": share, "superpixels": 1}
    target, masks = targets(monkeypatch, seeing(5, 0.9), **chosen)
    assert masks[0].any(), "so that the image is one new region or superpixel"
    assert (target[0, 3, 2:, 2:] == 1).all(), "the batch has an instance of channel 3 there"


def test_frozen_rows_are_those_of_old_classes() -> None:
    for rows, frozen in (("trained", False), ("frozen", True)):
        method = Fmwiss(context(old_rows=rows))
        first, last = method.context.student.classifiers
        assert [p.requires_grad for p in first.parameters()] == [not frozen] * 2
        assert all(p.requires_grad for p in last.parameters())
        assert all(p.requires_grad for p in method.context.student.aspp.parameters())
