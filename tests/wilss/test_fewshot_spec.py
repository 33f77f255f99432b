"""Specifications of few-shot runs: what is refused, what is filled in, what is told apart."""

from __future__ import annotations

import pytest

from wilss.digest import digest_of
from wilss.errors import SpecError
from wilss.fewshot.grid import make_fewshot_grid
from wilss.fewshot.spec import make_fewshot_spec


def test_wrong_specifications_are_refused_in_words() -> None:
    for content, words in (
        ({"size": 96}, "'size' is 96, but one less must be a multiple of 8"),
        ({"crop1": 256}, "'crop1' is 256, .* take 249"),
        ({"size": 473, "crop1": 417, "backbone": {"output_stride": 16}}, "'size' is 473, .* 16, .* take 465"),
        ({"fold": 4}, "less than or equal to 3"),
        ({"head": "asp"}, "Did you mean 'aspp'"),
        ({"trian": {}}, "Did you mean 'train'"),
        ({"benchmark": "pascal5i"}, "Did you mean 'pascal-5i'"),
        ({"preset": "dmeo"}, "Did you mean 'demo'"),
    ):
        with pytest.raises(SpecError, match=words):
            make_fewshot_spec({"benchmark": "scenes-5i", "fold": 0, **content})
    for content, words in (
        ({"head": "cwt", "start": "pretrained"}, "start=base"),
        ({"head": "prior", "train": {"tuning": "svf"}}, "not trained"),
        ({"backbone": {"train_batchnorm": True}}, "tuning=full"),
        ({"augment": {"scale": [1.1, 0.9]}}, "smaller factor first"),
        ({"aspp": {"rates": [0]}}, "greater than 0"),
        ({"stage1": {"tuning": "svf"}}, "stage1.tuning"),
        ({"stage1": {"smoothing": 0.95}}, "0.9"),
        ({"head": ["aspp"]}, "head"),
        ({"train": {"lr_head": "inf"}}, "'train.lr_head' is 'inf': input should be a finite number"),
        ({"head": "cwt", "cwt": {"turns": ["nan"]}}, "'cwt.turns.0' is 'nan'"),
        ({"augment": {"scale": [0.9, "inf"]}}, "finite"),
        ({"seed": 2**64}, "'seed' is 18446744073709551616: input should be less than 4611686018427387904"),
        ({"cwt": {"init_seed": 2**63}}, "'cwt.init_seed'"),
        ({"backbone": {"backbone": "vgg16_bn", "output_stride": 16}}, "vgg16_bn always has 8"),
    ):
        with pytest.raises(SpecError, match=words):
            make_fewshot_spec({"benchmark": "scenes-5i", "fold": 0, **content})
    with pytest.raises(SpecError, match="belongs to the grid"):
        make_fewshot_grid({"run": {"benchmark": "scenes-5i", "train": {"tuning": "full"}}})
    with pytest.raises(SpecError, match="each once"):
        make_fewshot_grid({"run": {"benchmark": "scenes-5i"}, "heads": ("aspp", "aspp")})
    with pytest.raises(SpecError) as caught:
        make_fewshot_grid({"run": {"benchmark": "scenes-5i"}, "heads": ("apps",)})
    assert str(caught.value) == "unknown heads.0 'apps'. Did you mean 'aspp'?"
    canvas = {"benchmark": "coco-20i", "preset": "paper", "resolution": "canvas"}
    with pytest.raises(SpecError, match=r"at 473 and 641 pixels, which cannot be compared; take resolution=original"):
        make_fewshot_grid({"run": canvas, "heads": ("aspp", "cwt")})
    assert list(make_fewshot_grid({"run": {**canvas, "size": 473}, "heads": ("aspp", "cwt")}).cells())


def test_stages_are_for_students_of_steps() -> None:
    given = {"benchmark": "scenes-5i", "fold": 0, "preset": "tiny", "train": {"tuning": "full", "tuned_stages": 2}}
    with pytest.raises(SpecError, match="tuned_stages is for base and step of incremental runs"):
        make_fewshot_spec(given)


def test_a_section_given_in_part_keeps_the_rest() -> None:
    given = {"benchmark": "scenes-5i", "fold": 0}
    spec, plain = make_fewshot_spec({**given, "shapes": {"psp": {"dropout": 0.2}}}), make_fewshot_spec(given)
    assert spec.shapes is not None
    assert plain.shapes is not None
    assert spec.shapes.psp == plain.shapes.psp.model_copy(update={"dropout": 0.2})
    assert spec.shapes.world == plain.shapes.world
    assert spec.keeps_decoder
    changed = make_fewshot_spec({**given, "augment1": {"flip": 0.0}}).augment1
    assert changed == plain.augment1.model_copy(update={"flip": 0.0})
    assert make_fewshot_spec({**given, "train": {"epochs": 3}}).train.tuning == "frozen"
    assert make_fewshot_spec({**given, "shapes": None}).shapes is None
    with pytest.raises(SpecError, match="silhouettes"):
        make_fewshot_spec({**given, "shapes": {"silhouettes": 2}})


@pytest.mark.parametrize("changes", [{"stage1": {"loss_stride": 5}}, {"shapes": {"train": {"loss_stride": 7}}}])
def test_a_stride_that_misses_the_last_pixel_is_refused_before_anything_runs(changes: dict[str, object]) -> None:
    with pytest.raises(SpecError, match=r"loss_stride [57] misses the last pixel of crops of 97; take 1"):
        make_fewshot_spec({"benchmark": "scenes-5i", "fold": 0, **changes})


def test_grids_that_differ_in_any_cell_are_not_the_same() -> None:
    run = {"benchmark": "scenes-5i"}
    even = {"cwt": {"balance_fit": 1.0, "balance_loss": 1.0}, "train": {"lr_head": 2e-3}}
    grids = [make_fewshot_grid({"run": content}) for content in (run, {**run, **even}, run)]
    facts = [digest_of(grid.facts()) for grid in grids]
    assert facts[0] == facts[2] != facts[1]
