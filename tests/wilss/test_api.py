"""Scripts: labels from tags, a step, scores, data; and mistakes told in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import wilss
from tests.wilss.models.cards import INPUT, student_card
from tests.wilss.test_folder import own_folder
from wilss import precision
from wilss.data.scenes.source import ScenesSource
from wilss.data.source import VOID
from wilss.data.spec import World
from wilss.errors import DataError, DataNotFoundError, SpecError, WilssError
from wilss.measure.confusion import confusion, iou
from wilss.models.model import Model
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_segmenter
from wilss.nets.spec import StudentSpec

SMALL = {"data": {"n_train": 40, "n_eval": 4, "world": {"image_size": 48}}}
STUDENT = StudentSpec(backbone="resnet_scenes", weights="none", output_stride=8, aspp_channels=16, aspp_rates=(1, 2))
NEW = ("ring", "star")


@pytest.fixture(scope="module")
def scenes() -> wilss.Source:
    return wilss.open_source("scenes-15-5", settings=SMALL)


@pytest.fixture(scope="module")
def model(scenes: wilss.Source) -> Model:
    """Of the first fifteen classes."""
    torch.manual_seed(0)
    network = build_segmenter(STUDENT, find_weights("resnet_scenes", "none", None), (15,)).eval()
    facts = {"step_sizes": (15,), "classes": scenes.classes[:15], "class_ids": tuple(range(1, 16))}
    return Model(network, student_card(STUDENT, **facts, input={**INPUT, "canvas": 48}))


def shown(scenes: wilss.Source, count: int = 6) -> tuple[list[str], list[list[str]]]:
    """Images with a class of the second step, and their tags of it."""
    rows = zip(scenes.ids("train"), scenes.tags("train"), strict=True)
    found = [(i, [scenes.classes[c - 1] for c in tags if c > 15]) for i, tags in rows]
    return tuple(map(list, zip(*[row for row in found if row[1]][:count], strict=True)))  # type: ignore[return-value]


def test_labels_have_masks_of_the_tagged_classes_at_the_images_own_sizes(scenes: wilss.Source) -> None:
    ids, tags = shown(scenes)
    images = [scenes.image(i) for i in ids]
    images[0] = images[0].repeat_interleave(3, 1)  # 144 x 48, larger than the canvas
    labels = wilss.label(images, tags, scenes.classes[15:], "tiny", ids=ids)
    assert labels.ids == tuple(ids)
    assert (labels.masks.dtype, labels.masks.shape) == (torch.uint8, (6, 5, 64, 64))
    assert labels.originals.tolist() == [[144, 48]] + [[48, 48]] * 5
    assert labels.sizes.tolist() == [[64, 21]] + [[48, 48]] * 5
    assert labels.tags.sum(1).tolist() == list(map(len, tags))
    assert torch.equal(labels.agreement.isnan(), ~labels.tags)
    assert not labels.masks.amax((2, 3))[~labels.tags].any()
    assert labels.mask(0).shape == (5, 144, 48)
    assert labels.label_map(1).shape == (48, 48)
    for row, names in enumerate(tags):
        values = set(labels.label_map(row).unique().tolist()) - {0}
        assert values <= {1 + labels.classes.index(name) for name in names}
    assert torch.equal(labels.mask(2), labels.masks[2, :, :48, :48])
    again = wilss.label(images[2:4], tags[2:4], scenes.classes[15:], "tiny", ids=ids[2:4])
    assert torch.equal(again.masks, labels.masks[2:4]), "in portions too"


def test_settings_and_words_of_ones_own_are_taken(scenes: wilss.Source) -> None:
    ids, tags = shown(scenes, 2)
    images, classes = [scenes.image(i) for i in ids], scenes.classes[15:]
    plain = wilss.label(images, tags, classes, "tiny")
    other = {"foundation": {"cosegment": {"refine_threshold": 0.9}}}
    assert not torch.equal(wilss.label(images, tags, classes, "tiny", settings=other).masks, plain.masks)
    around = {"foundation": {"background": ["background", "photographs"]}}
    (note,) = wilss.label(images, tags, classes, "tiny", settings=around).notes
    assert note == "background words that name a class are left out: tree (tree)"
    assert plain.notes == ()
    words = dict.fromkeys(classes, "tree")
    assert not torch.equal(wilss.label(images, tags, words, "tiny").scores, plain.scores)
    assert not torch.equal(
        wilss.label(images, tags, classes, "tiny", seed=1).agreement.nan_to_num(), plain.agreement.nan_to_num()
    )


def test_a_step_grows_a_copy_with_the_ids_of_the_data(scenes: wilss.Source, model: Model) -> None:
    ids, tags = shown(scenes)
    images = [scenes.image(i) for i in ids]
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    classes, fast = scenes.classes[15:], {"step": {"epochs": 1, "batch_size": 3}, "augment": {"crop": 48}}
    grown = wilss.train_step(model, images, tags, classes, "finetune", "tiny", settings=fast)
    assert grown.classes == dict(enumerate(("background", *scenes.classes)))
    assert (grown.card.step, grown.card.step_sizes) == (1, (15, 5))
    assert len(grown.card.history) == 1
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())
    assert set(grown.predict(images[0]).unique().tolist()) <= grown.classes.keys()
    localizer = {"wilson": {"warmup_epochs": 0, "channels": 16}}
    further = wilss.train_step(
        grown, images, [["kite"]] * 6, ["kite"], "wilson", "tiny", settings={**fast, **localizer}
    )
    assert further.classes[21] == "kite"
    labels = wilss.label(images, tags, classes, "tiny", settings={"data": {"canvas": 48}})
    with pytest.raises(DataError, match=r"the labels are 6 of .*, the step has 5 images"):
        wilss.train_step(model, images[1:], tags[1:], classes, "finetune", "tiny", labels=labels, settings=fast)


def test_scores_are_those_of_the_predictions(
    scenes: wilss.Source, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)  # scores are taken in it, predictions are not
    scores = wilss.evaluate(model, scenes)
    total = torch.zeros(16, 16, dtype=torch.int64)
    for image_id in scenes.ids("eval"):
        truth = scenes.mask(image_id).clone()
        truth[(truth > 15) & (truth != VOID)] = 0
        total += confusion(truth, model.predict(scenes.image(image_id)), 16)
    assert torch.equal(scores.confusion, total)
    assert list(scores.iou) == ["background", *scenes.classes[:15]]
    assert list(scores.iou.values()) == pytest.approx(iou(total).tolist(), nan_ok=True)
    assert scores.means["C"].old == pytest.approx(float(iou(total)[1:].nanmean()))
    part = wilss.evaluate(model, scenes, scenes.ids("train")[:2])
    assert int(part.confusion.sum()) < 2 * 48 * 48 + 1


def test_data_are_opened_by_benchmark_family_or_file(tmp_path: Path) -> None:
    scenes = wilss.open_source("scenes", settings=SMALL)
    assert len(scenes.ids("train")) == 40
    assert len(wilss.open_source("scenes-10-10", preset="tiny").ids("eval")) == 24
    own_folder(tmp_path / "pets")
    (tmp_path / "pets.yaml").write_text("name: pets\ndata: folder\nsteps: [[cat, guinea pig], [hamster]]\n")
    for name, classes in (("folder", ["cat", "guinea pig", "hamster"]), (tmp_path / "pets.yaml", [])):
        found = wilss.open_source(name, tmp_path / "pets", classes=classes)
        assert found.classes == ("cat", "guinea pig", "hamster")
        assert len(found.ids("train")) == 5


LABEL: list[tuple[dict[str, Any], type[WilssError], str]] = [
    ({"tags": [["rng"]]}, DataError, "image 0 has the tag 'rng', which is no class. Did you mean 'ring'"),
    ({"tags": ["ring"]}, DataError, r"give a list of names, \['ring'\]"),
    ({"classes": []}, SpecError, "no class is named"),
    ({"images": [], "tags": []}, DataError, "there is no image"),
    ({"preset": "dmo"}, SpecError, "unknown preset 'dmo'. Did you mean 'demo'"),
    ({"known": ["ring"]}, SpecError, "'ring' is in step 0 and in step 1"),
    ({"settings": {"foundation": {"scorer": "clp:x"}}}, SpecError, "'clp:x' is no scorer"),
    ({"settings": {"foundaton": {}}}, SpecError, "unknown key 'foundaton'"),
    ({"classes": {"ring": []}}, SpecError, "has no prompt"),
]


@pytest.mark.parametrize(("given", "error", "message"), LABEL)
def test_mistakes_in_labelling_are_told_in_one_sentence(
    given: dict[str, Any], error: type[WilssError], message: str, scenes: wilss.Source
) -> None:
    usual = {"images": [scenes.image("eval-000000")], "tags": [["ring"]], "classes": NEW}
    with pytest.raises(error, match=message) as caught:
        wilss.label(**{**usual, **given})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("classes", "method", "message"),
    [
        (["ring"], "joint", "joint learns all classes at once"),
        (["ring"], "fmwis", "unknown method 'fmwis'. Did you mean 'fmwiss'"),
        (["arrow"], "finetune", "'arrow' is in step 0 and in step 1"),
        (["ring"], "fmwiss", "fmwiss.teacher_channels is 96, but .* needs the student's aspp_channels, 16"),
    ],
)
def test_mistakes_in_a_step_are_told_in_one_sentence(
    classes: list[str], method: str, message: str, scenes: wilss.Source, model: Model
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        wilss.train_step(model, [scenes.image("eval-000000")], [classes], classes, method)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "given", "error", "message"),
    [
        ("scnes", {}, SpecError, "unknown data family 'scnes'. Did you mean 'scenes'"),
        ("voc", {}, DataNotFoundError, "voc needs photographs: give the VOC folder"),
        ("voc", {"data": "nowhere"}, DataNotFoundError, "nowhere"),
        ("none.yaml", {}, DataNotFoundError, "benchmark file 'none.yaml' does not exist"),
        ("scenes", {"settings": {"data": {"n_tain": 3}}}, SpecError, "unknown key 'data.n_tain'"),
        ("scenes", {"labels_csv": "x.csv"}, SpecError, "'x.csv' would be ignored"),
    ],
)
def test_mistakes_in_opening_are_told_in_one_sentence(
    name: str, given: dict[str, Any], error: type[WilssError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        wilss.open_source(name, **given)
    assert "\n" not in str(caught.value)


def test_data_of_other_classes_are_refused(scenes: wilss.Source, model: Model) -> None:
    class Renamed(ScenesSource):
        classes = scenes.classes[::-1]  # type: ignore[assignment]

    with pytest.raises(SpecError, match="class 1 of the student is 'arrow', and not of the data"):
        wilss.evaluate(model, Renamed(World(), 1, 1))
    with pytest.raises(DataError, match="there is no image to score on"):
        wilss.evaluate(model, scenes, [])
