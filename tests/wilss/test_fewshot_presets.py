"""The preset "paper" of few-shot heads holds the effective values of the published codes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wilss.tiny_heads import TRAINED
from wilss.errors import SpecError
from wilss.fewshot.heads import HEADS
from wilss.fewshot.spec import FewShotSpec, make_fewshot_spec


@pytest.mark.parametrize(
    ("benchmark", "key", "content"),
    [
        ("scenes-5i", "variant", {"variant": "contiguous"}),
        ("pascal-5i", "names", {"names": "legacy"}),
        ("scenes-5i", "train_list", {"data": {"train_list": "train"}}),
        ("coco-20i", "eval_list", {"data": {"eval_list": "dev"}}),
        ("pascal-5i", "void", {"data": {"void": "ignore"}}),
        ("coco-to-pascal", "eval_crop", {"data": {"eval_crop": None}}),
    ],
)
def test_settings_without_effect_are_refused(benchmark: str, key: str, content: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=f"{benchmark} has no use for '{key}'; leave it out"):
        make_fewshot_spec({"benchmark": benchmark, "fold": 0, **content})


def test_the_papers_effective_settings() -> None:
    rates = {h: make_fewshot_spec({"benchmark": "pascal-5i", "fold": 0, "preset": "paper", "head": h}) for h in TRAINED}
    assert {h: s.train.lr_head for h, s in rates.items()} == {
        "aspp": 0.015,
        "pfenet": 0.025,
        "bam": 0.05,
        "cwt": 0.001,
        "ipmt": 0.0375,
    }
    assert all(s.size == 473 and s.train.weight_decay == 1e-4 for s in rates.values())
    schedules = {h: (s.train.schedule, s.train.batch_size, s.train.epochs) for h, s in rates.items()}
    assert schedules == {
        "aspp": ("cosine", 8, 200),
        "pfenet": ("poly", 4, 200),
        "bam": ("poly", 8, 200),
        "cwt": ("constant", 2, 20),
        "ipmt": ("poly", 4, 200),
    }
    assert rates["pfenet"].pfenet.bins == (60, 30, 15, 8)
    assert [h for h, s in rates.items() if s.train.nesterov] == ["cwt"]
    bam, cwt = rates["bam"].stage1, rates["cwt"].stage1
    assert (bam.lr_backbone, bam.lr_head, bam.schedule, bam.smoothing, bam.novel, bam.nesterov) == (
        *(2.5e-4, 2.5e-3, "poly", 0, "background"),
        False,
    )
    assert (cwt.lr_backbone, cwt.lr_head, cwt.schedule, cwt.smoothing, cwt.novel, cwt.nesterov) == (
        *(2.5e-3, 2.5e-3, "cosine", 0.1, "ignore"),
        True,
    )
    assert not rates["cwt"].psp.classifier_bias
    assert {h: s.stage1.lists for h, s in rates.items() if s.stage1.lists != "all"} == {"cwt": "unfiltered"}
    assert all(
        (s.crop1, s.augment1.scale, s.augment1.keep, s.stage1.epochs, s.stage1.batch_size, s.stage1.momentum)
        == (417, (0.5, 2.0), 0, 100, 12, 0.9)
        for s in rates.values()
    )
    fit = rates["cwt"].cwt
    assert (fit.inner_steps, fit.inner_lr, fit.heads) == (200, 0.1, 4)
    assert (fit.attention_dropout, fit.output_dropout) == (0.1, 0.5)
    ipmt, train = rates["ipmt"].ipmt, rates["ipmt"].train
    assert (ipmt.dim, ipmt.layers, ipmt.hidden) == (384, 5, 1152)
    assert (ipmt.final_weight, ipmt.init_weight) == (0.7, 0.3)
    assert (ipmt.query_masks_weight, ipmt.support_masks_weight) == (0.3, 0.7)
    assert (train.lr_transformer, train.decay_transformer) == (1e-4, 1e-2)


@pytest.mark.parametrize("head", ["aspp", "pfenet", "bam"])
def test_the_papers_settings_with_singular_values_and_for_coco(head: str) -> None:
    paper = {"fold": 0, "preset": "paper", "head": head}
    tuned = make_fewshot_spec({**paper, "benchmark": "pascal-5i", "train": {"tuning": "svf"}}).train
    assert (tuned.lr_head, tuned.lr_backbone, tuned.schedule, tuned.batch_size) == (0.015, 0.0015, "cosine", 8)
    coco = make_fewshot_spec({**paper, "benchmark": "coco-20i"})
    assert (coco.size, coco.train.epochs, coco.stage1.epochs, coco.augment.scale) == (641, 50, 20, (0.8, 1.25))
    crossing = make_fewshot_spec({**paper, "benchmark": "coco-to-pascal"})
    assert crossing.facts() == {**coco.facts(), "benchmark": "coco-to-pascal"}
    baseline = make_fewshot_spec({**paper, "benchmark": "coco-20i", "head": "prior"})
    assert (baseline.size, baseline.stage1) == (641, coco.stage1), "it shares the heads' stage 1"
    assert coco.data.canvas * coco.augment.scale[0] < coco.size < coco.data.canvas * coco.augment.scale[1]
    given = make_fewshot_spec({**paper, "benchmark": "coco-20i", "train": {"epochs": 3, "tuning": "svf"}})
    assert (given.train.epochs, given.train.lr_head) == (3, 0.015)
    assert set(HEADS) == {*TRAINED, "prior", "prototype"}


def test_the_papers_settings_for_coco_by_head() -> None:
    def on_coco(head: str) -> FewShotSpec:
        return make_fewshot_spec({"benchmark": "coco-20i", "fold": 0, "preset": "paper", "head": head})

    pfenet, cwt, ipmt = map(on_coco, ("pfenet", "cwt", "ipmt"))
    assert (pfenet.train.lr_head, pfenet.train.batch_size, pfenet.train.schedule) == (0.05, 8, "poly")
    assert pfenet.pfenet.bins == (1.0, 0.5, 0.25, 0.125)
    assert (cwt.size, cwt.train.epochs, cwt.train.lr_head, cwt.stage1.epochs) == (473, 20, 0.001, 20)
    assert (ipmt.size, ipmt.train.epochs, ipmt.train.lr_head, ipmt.train.batch_size) == (473, 50, 0.0375, 4)
    assert ipmt.augment.scale == (0.8, 1.25)
    assert [spec.stage1.lr_backbone for spec in (pfenet, cwt, ipmt)] == [2.5e-3] * 3
    assert on_coco("bam").stage1.lists == "all" != cwt.stage1.lists


@pytest.mark.parametrize("preset", ["demo", "small"])
def test_all_weights_take_a_tenth_of_the_rate_of_singular_values(preset: str) -> None:
    def rates(head: str, tuning: str, **train: Any) -> tuple[float, float]:
        own = {"head": head, "preset": preset, "train": {"tuning": tuning, **train}}
        spec = make_fewshot_spec({"benchmark": "scenes-5i" if preset == "demo" else "pascal-5i", "fold": 0, **own})
        return spec.train.lr_backbone, spec.train.lr_head

    for head in TRAINED:
        assert rates(head, "full") == (pytest.approx(rates(head, "svf")[0] / 10), rates(head, "svf")[1])
    assert rates("aspp", "full", lr_backbone=0.5)[0] == 0.5, "what is given stays"
