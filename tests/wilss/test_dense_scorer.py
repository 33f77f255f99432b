"""CLIP as scorer: windows, words, tags and the pass that it shares with the grouper."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from tests.wilss.test_contracts import HALF, attention, clip_scorer
from wilss.errors import SpecError
from wilss.foundation.contracts import Grouper, Prompts, Scorer, features_of
from wilss.foundation.cosegment import cosegment
from wilss.foundation.features import FeatureGrouper, PatchTokens
from wilss.foundation.loading import LoadedClip
from wilss.foundation.multiscale import MultiScaleScorer
from wilss.foundation.own import OwnGrouper, OwnScorer
from wilss.foundation.passes import KeptPass
from wilss.foundation.seeds import seed_noise
from wilss.foundation.spec import CosegmentSpec, FoundationSpec
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.spec import make_spec

WORDS: Prompts = [["star", "sun"], ["ring"], ["tree", "oak", "elm"]]
DEMO = make_spec({"benchmark": "scenes-15-5"}).foundation


def pictures(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_an_image_that_fits_the_window_is_seen_as_a_whole() -> None:
    images = pictures(2, 3, 32, 24)
    whole, windows = clip_scorer("vit", "cpu", block="sclip"), clip_scorer("vit", "cpu", block="sclip", window=(32, 16))
    assert torch.equal(whole.scores(images, WORDS), windows.scores(images, WORDS))


def test_cosines_of_overlapping_windows_are_averaged() -> None:
    scorer = clip_scorer("vit", "cpu", block="clearclip", window=(16, 8), background=("sky",))
    whole, images = replace(scorer, window=None), pictures(1, 3, 16, 32)
    text = scorer.embed((("star", "sun"), ("ring",), ("tree", "oak", "elm"), ("sky",)))
    total, seen = torch.zeros(4, 2, 4), torch.zeros(4)
    for left in (0, 8, 16):
        crop = images[..., left : left + 16]
        cells = slice(left // 8, left // 8 + 2)
        total[:, :, cells] += torch.einsum("dhw,cd->chw", whole._seen(crop, crop).features[0], text)
        seen[cells] += 1
    expected = (scorer.temperature * total / seen).softmax(0)[:3]
    torch.testing.assert_close(scorer.scores(images, WORDS)[0], expected, atol=1e-5, rtol=1e-4)


def test_of_several_words_the_best_counts_and_all_compete() -> None:
    scorer, images = clip_scorer("vit", "cpu", words="max", background=("sky",)), pictures(2, 3, 24, 32)
    names = ("star", "sun", "ring", "tree", "oak", "elm", "sky")
    every = torch.cat([scorer.embed(((name,),)) for name in names])
    features = F.normalize(scorer._seen(images, images).features, dim=1)
    words = (scorer.temperature * torch.einsum("ndhw,cd->nchw", features, every)).softmax(1)
    expected = torch.stack([words[:, :2].amax(1), words[:, 2], words[:, 3:6].amax(1)], 1)
    torch.testing.assert_close(scorer.scores(images, WORDS), expected, atol=1e-5, rtol=1e-4)
    assert torch.equal(scorer.scores(images, [["star", " ", "sun"], *WORDS[1:]]), scorer.scores(images, WORDS))
    averaged = replace(scorer, words="mean").scores(images, WORDS)
    assert float((averaged - expected).abs().max()) > 1e-3
    single = [[group[0]] for group in WORDS]  # then there is nothing to choose from
    torch.testing.assert_close(scorer.scores(images, single), replace(scorer, words="mean").scores(images, single))


def test_only_tags_and_background_words_compete_where_that_is_asked_for() -> None:
    images, allowed = pictures(2, 3, 24, 32), torch.tensor([[True, False, True], [False, True, False]])
    tagged = clip_scorer("vit", "cpu", background=("sky",), compete="tagged")
    found = tagged.scores_among(images, WORDS, allowed)
    assert torch.equal(found[0, 1], torch.zeros(3, 4))
    torch.testing.assert_close(found[:1, ::2], tagged.scores(images[:1], WORDS[::2]), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found[1:, 1:2], tagged.scores(images[1:], WORDS[1:2]), atol=1e-6, rtol=1e-5)
    everyone = replace(tagged, compete="all")
    assert torch.equal(everyone.scores_among(images, WORDS, allowed), everyone.scores(images, WORDS))
    several = MultiScaleScorer((tagged, replace(tagged, scale=2.0)), "x", flip=True)
    for scorer in (several, OwnScorer(several, {"version": 1})):
        assert float(scorer.scores_among(images, WORDS, allowed)[0, 1].max()) == 0
        assert float(scorer.scores(images, WORDS)[0, 1].max()) > 0


class Told:
    """A scorer that notes which classes it is told of."""

    digest = "told"

    def __init__(self) -> None:
        self.allowed: Tensor | None = None

    def scores(self, images: Tensor, prompts: Prompts) -> Tensor:
        raise AssertionError("asked for all")

    def scores_among(self, images: Tensor, prompts: Prompts, allowed: Tensor) -> Tensor:
        self.allowed = allowed
        return images.mean(1, keepdim=True).expand(-1, len(prompts), -1, -1)


def labelled(scorer: Scorer, grouper: Grouper, images: Tensor) -> Tensor:
    tags = torch.tensor([[True, False, True], [False, True, False]])[: len(images)]
    noise = seed_noise(["a", "b"][: len(images)], 3, 4, 0)
    return cosegment(images, tags, WORDS, [["bird"]], scorer, grouper, CosegmentSpec(n_seeds=4), noise).refined


def test_old_names_always_compete() -> None:
    scorer = Told()
    labelled(scorer, attention("cpu"), pictures(2, 3, 32, 32))
    assert scorer.allowed is not None
    assert scorer.allowed.tolist() == [[True, False, True, True], [False, True, False, True]]


def counted(net: Any) -> list[int]:
    """Filled with the number of images of every pass of a network."""
    passes: list[int] = []
    net.patch_embed.register_forward_hook(lambda module, images, out: passes.append(len(images[0])))
    return passes


def groupers() -> list[tuple[Any, Any]]:
    torch.manual_seed(0)
    net = timm.create_model("test_vit", num_classes=0, dynamic_img_size=True).eval()
    return [(one := attention("cpu", scale=2.0), one.vit), (FeatureGrouper(PatchTokens(net), "x", HALF, HALF, 16), net)]


@pytest.mark.parametrize("number", [0, 1])
def test_an_image_goes_through_the_grouper_once_for_both(number: int) -> None:
    grouper, net = groupers()[number]
    passes, images = counted(net), pictures(2, 3, 48, 64)
    scorer = clip_scorer("vit", "cpu", block="proxy", proxy=grouper.features)
    found = labelled(scorer, grouper, images)
    assert passes == [2]
    passes.clear()
    apart = labelled(scorer, groupers()[number][0], images)
    assert torch.equal(found, apart)
    several = MultiScaleScorer((scorer, replace(scorer, scale=2.0)), "x")
    passes.clear()
    labelled(several, grouper, images.clone())
    assert passes == [2]
    passes.clear()
    labelled(MultiScaleScorer((scorer,), "x", flip=True), grouper, images.clone())
    assert passes == [2, 2]  # the mirrored images, and the images


def test_features_are_the_normed_patch_tokens() -> None:
    grouper, images = attention("cpu"), pictures(2, 3, 48, 64)
    whole = grouper.vit.forward_features((images - 0.5) / 0.5)[:, grouper.vit.num_prefix_tokens :]
    torch.testing.assert_close(grouper.features(images).flatten(2).transpose(1, 2), whole, atol=1e-5, rtol=1e-5)


def test_a_pass_is_kept_for_the_very_images_and_taken_once() -> None:
    kept: KeptPass[str] = KeptPass()
    images = torch.zeros(1)
    assert kept.keep(images, "made") == "made"
    assert kept.take(torch.zeros(1)) is None
    assert kept.take(images) == "made"
    assert kept.take(images) is None
    kept.keep(images, "made")
    images += 1
    assert kept.take(images) is None  # somebody wrote to it
    kept.keep(images, "made")
    del images
    assert kept._kept is None
    with torch.inference_mode():
        silent = torch.zeros(1)
        kept.keep(silent, "made")
        assert kept.take(silent) is None


class Plain:
    """A grouper without features."""

    digest = "plain"

    def grid(self, height: int, width: int) -> tuple[int, int]:
        return 1, 1

    def affinity(self, images: Tensor, seeds: Tensor) -> Tensor:
        return torch.ones(len(images), seeds.shape[1], 1, 1)


def test_a_registered_grouper_offers_what_it_has() -> None:
    grouper = attention("cpu")
    assert features_of(OwnGrouper(grouper, {})) == grouper.features
    assert features_of(OwnGrouper(Plain(), {})) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"block": "sclip"}, r"foundation\.block=sclip changes .* is a ResNet without one"),
        ({"compete": "tagged", "background": ()}, "no background words, so that a single tag would win everywhere"),
        ({"window": 100}, r"foundation\.window is 100 px, and the scorer's cells have 8 px.* take 96"),
        ({"window": 64, "stride": 12}, r"foundation\.stride is 12 px.* take 16"),
    ],
)
def test_settings_that_the_scorer_cannot_do_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        build_scorer(DEMO.model_copy(update=change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"block": "naclip"},
            r"foundation\.block=naclip is for clip: scorers; leave it out with 'classifier:resnet18'",
        ),
        ({"window": 64}, r"foundation\.window=64 is for clip: scorers"),
        ({"compete": "tagged"}, "'classifier:resnet18' has no scores_among"),
        ({"compete": "tagged", "scorer_scales": (1.0, 2.0)}, "'classifier:resnet18' has no scores_among"),
    ],
)
def test_a_classifier_refuses_what_is_clips(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    state = timm.create_model("resnet18", pretrained=False).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "resnet18.safetensors")
    with pytest.raises(SpecError, match=message):
        build_scorer(FoundationSpec(scorer="classifier:resnet18", **change), tmp_path)


@pytest.mark.parametrize(
    ("windows", "message"),
    [({"stride": 16}, "stride is 16 px without a window"), ({"window": 32, "stride": 64}, "stride 64 leaves gaps")],
)
def test_windows_that_do_not_meet_are_refused(windows: dict[str, int], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        make_spec({"benchmark": "scenes-15-5", "foundation": windows})


def test_new_settings_leave_digests_as_they_were() -> None:
    new = {"block", "window", "stride", "words", "synonyms", "compete"}
    assert not new & FoundationSpec().plain().keys()
    plain = DEMO.model_copy(update={"precision": "fp32"})
    assert build_scorer(plain).digest == "812c3f30f330aae5673231647afdd5d6"


@pytest.fixture
def clip_vit(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a CLIP with a ViT."""
    model = clip_scorer("vit", "cpu").model
    tokenizer = open_clip.tokenizer.SimpleTokenizer(context_length=32)
    loaded = LoadedClip(model, tokenizer, "x", HALF, HALF, 8, "simple", 100.0)
    monkeypatch.setattr("wilss.foundation.zoo.load_clip", lambda name, folder: loaded)
    return "clip:tiny"


def test_a_proxy_is_the_grouper_that_is_used_and_in_the_digest(clip_vit: str) -> None:
    spec = FoundationSpec(scorer=clip_vit, block="proxy", precision="fp32")
    other = spec.model_copy(update={"affinity": "keys"})
    grouper = build_grouper(spec)
    scorer = build_scorer(spec, grouper=lambda: grouper)
    assert scorer.digest == build_scorer(spec).digest
    assert scorer.digest != build_scorer(other).digest
    passes, images = counted(grouper.vit), pictures(2, 3, 64, 64)  # type: ignore[attr-defined]
    together = labelled(scorer, grouper, images)
    assert passes == [2]
    assert torch.equal(together, labelled(build_scorer(spec), build_grouper(spec), images))
    with pytest.raises(SpecError, match=r"follows the features of the grouper, and 'dino:scenes' offers none"):
        build_scorer(spec, grouper=Plain)
    several = build_scorer(spec.model_copy(update={"scorer_scales": (1.0, 2.0)}))
    assert several.scores(images, WORDS).shape[:2] == (2, 3)


def test_every_block_has_its_digest(clip_vit: str) -> None:
    base = FoundationSpec(scorer=clip_vit, precision="fp32")
    changes: list[dict[str, Any]] = [{}, {"block": "value"}, {"block": "sclip"}, {"block": "clearclip"}]
    changes += [{"block": "naclip"}, {"window": 32}, {"window": 32, "stride": 8}, {"words": "max"}]
    changes += [{"compete": "tagged"}, {"block": "proxy"}]
    assert len({build_scorer(base.model_copy(update=change)).digest for change in changes}) == len(changes)
