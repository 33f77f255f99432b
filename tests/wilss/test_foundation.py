"""Foundation adapters against oracles: the full model computes the same where it can."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import open_clip
import pytest
import timm
import torch
from open_clip.transformer import VisionTransformer
from safetensors.torch import save_file
from torch import nn

from wilss.errors import SpecError, WeightsNotFoundError
from wilss.foundation.attention import AttentionGrouper, _sharpest
from wilss.foundation.classifier import ClassifierScorer, imagenet_names, match_prompts, require_matches
from wilss.foundation.clip import _smoothed_by_keys
from wilss.foundation.clip_towers import dense_features
from wilss.foundation.preprocess import cells, prepare
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.nets.pretrained import find_weights
from wilss.precision import has_bf16
from wilss.spec import make_spec
from wilss.words import nested

HALF = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def vit() -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(
        image_size=32, patch_size=8, width=32, layers=3, heads=4, mlp_ratio=2.0, output_dim=16
    ).eval()


@torch.inference_mode()
def test_value_path_equals_a_full_forward_with_identity_attention(vit: VisionTransformer) -> None:
    images = torch.randn(2, 3, 32, 32)
    x = vit._embeds(images)
    for block in vit.transformer.resblocks[:-1]:
        x = block(x)
    mask = torch.full((17, 17), -torch.inf).fill_diagonal_(0.0)
    x = vit.transformer.resblocks[-1](x, attn_mask=mask)
    expected = vit.ln_post(x)[:, 1:] @ vit.proj
    found = dense_features(vit, images).features
    assert found.shape == (2, 16, 4, 4)
    torch.testing.assert_close(found.flatten(2).transpose(1, 2), expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_value_path_takes_any_size(vit: VisionTransformer) -> None:
    dense = dense_features(vit, torch.randn(1, 3, 24, 48))
    assert dense.features.shape == (1, 16, 3, 6)
    assert dense.keys is not None
    assert dense.keys.shape == (1, 32, 3, 6)


@torch.inference_mode()
def test_modified_resnet_path_equals_its_attention_pool_on_one_cell() -> None:
    from open_clip.modified_resnet import ModifiedResNet

    torch.manual_seed(0)
    tower = ModifiedResNet(layers=(1, 1, 1, 1), output_dim=16, heads=4, image_size=32, width=8).eval()
    images = torch.randn(2, 3, 32, 32)
    features = tower.layer4(tower.layer3(tower.layer2(tower.layer1(tower.stem(images)))))
    assert features.shape[-2:] == (1, 1)
    dense = dense_features(tower, images).features[:, :, 0, 0]
    pool = tower.attnpool
    pool.positional_embedding.zero_()  # with equal tokens attention is uniform, so the pool is v_proj then c_proj
    torch.testing.assert_close(dense, pool(features), atol=1e-5, rtol=1e-5)


def test_unknown_tower_is_refused() -> None:
    with pytest.raises(SpecError, match="no dense path for the image tower Linear"):
        dense_features(nn.Linear(1, 1), torch.zeros(1, 3, 8, 8))
    coca = VisionTransformer(
        image_size=32, patch_size=8, width=32, layers=1, heads=4, mlp_ratio=2.0, output_dim=16, attentional_pool=True
    )
    with pytest.raises(SpecError, match="no dense path for the image tower VisionTransformer"):
        dense_features(coca, torch.zeros(1, 3, 32, 32))


def grouper_vit(**changes: object) -> nn.Module:
    torch.manual_seed(0)
    arguments = {"img_size": 64, "depth": 2, "embed_dim": 48, "num_heads": 3, "dynamic_img_size": True, **changes}
    return timm.create_model("vit_tiny_patch16_224", num_classes=0, **arguments).eval()  # type: ignore[no-any-return]


@torch.inference_mode()
@pytest.mark.parametrize("registers", [0, 4])
def test_seed_rows_equal_rows_of_the_full_attention(registers: int) -> None:
    net = grouper_vit(reg_tokens=registers)
    images = torch.rand(2, 3, 64, 80)
    seeds = torch.rand(2, 5, 2)
    for block in net.blocks:
        block.attn.fused_attn = False
    extract = timm.utils.AttentionExtract(net, names=["blocks.1.attn.attn_drop"], method="hook")
    full = extract(prepare(images, HALF, HALF, 1.0, 16))["blocks.1.attn.attn_drop"]
    prefix = net.num_prefix_tokens
    rows = full[:, :, prefix:, prefix:].mean(1)
    expected = torch.stack([rows[n, cells(seeds, 4, 5)[n]] for n in range(2)])
    expected = expected / expected.sum(-1, keepdim=True)
    found = AttentionGrouper(net, "x", HALF, HALF).affinity(images, seeds)  # type: ignore[arg-type]
    assert found.shape == (2, 5, 4, 5)
    torch.testing.assert_close(found.flatten(2), expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_seed_rows_of_dinov3_equal_rows_of_its_full_attention() -> None:
    torch.manual_seed(0)
    net = timm.create_model("vit_small_patch16_dinov3", embed_dim=48, depth=2, num_heads=3, img_size=64, num_classes=0)
    net.eval()
    images, seeds = torch.rand(2, 3, 64, 80), torch.rand(2, 5, 2)
    net.blocks[1].attn.fused_attn = False
    extract = timm.utils.AttentionExtract(net, names=["blocks.1.attn.attn_drop"], method="hook")
    full = extract(prepare(images, HALF, HALF, 1.0, 16))["blocks.1.attn.attn_drop"]
    prefix = net.num_prefix_tokens
    assert prefix == 5
    rows = full[:, :, prefix:, prefix:].mean(1)
    expected = torch.stack([rows[n, cells(seeds, 4, 5)[n]] for n in range(2)])
    found = AttentionGrouper(net, "x", HALF, HALF).affinity(images, seeds)
    torch.testing.assert_close(found.flatten(2), expected / expected.sum(-1, keepdim=True), atol=1e-5, rtol=1e-5)


def test_sharpest_heads_have_the_lowest_entropy() -> None:
    flat, peaked = torch.full((4,), 0.25), torch.tensor([0.97, 0.01, 0.01, 0.01])
    rows = torch.stack([torch.stack([flat, peaked]), torch.stack([peaked, flat])])[None]  # (1, heads, seeds, cells)
    assert torch.equal(_sharpest(rows, 1)[0], torch.stack([peaked, peaked]))


def test_key_smoothing_averages_uncertain_cells_by_their_keys() -> None:
    probability = torch.tensor([[[[0.9, 0.5, 0.2]], [[0.1, 0.5, 0.8]]]])  # two classes on a 1 x 3 grid
    keys = torch.tensor([[[[1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]]])
    smooth = _smoothed_by_keys(probability, keys, 0.7)
    torch.testing.assert_close(smooth[0, :, 0, 1], torch.tensor([0.7, 0.3]))  # mean of the cells with the same key
    assert torch.equal(smooth[..., ::2], probability[..., ::2])
    with pytest.raises(SpecError, match="no attention keys to smooth by"):
        _smoothed_by_keys(probability, None, 0.7)


def test_margin_counts_all_other_classes_against_a_match() -> None:
    net = nn.Module()
    scorer = ClassifierScorer(net, ("ram, tup", "sofa", "sky"), "x", HALF, HALF, 1, evidence="margin", competition=0.5)
    logits = torch.tensor([4.0, 1.0, 2.0]).view(1, 3, 1, 1)
    rest = torch.tensor([1.0, 2.0]).logsumexp(0)
    total = logits.logsumexp(1)
    assert float(scorer._margin(logits, total, (0,))) == pytest.approx(float(4 - 0.5 * rest), abs=1e-5)
    assert float(scorer._margin(logits, total, (1,))) == 0
    assert float(scorer._margin(logits, total, ())) == 0


SCORER_CHANGES: dict[str, object] = {
    "scorer_scales": (2.0,),
    "scorer_flip": True,
    "scorer_temperature": 7.0,
    "normalise": "image",
    "templates": "simple",
    "background": ("sky",),
    "key_smoothing": 0.5,
    "denoise": 0.1,
    "precision": "bf16",
    "words": "max",
    "compete": "tagged",
    "window": 64,
}
GROUPER_CHANGES: dict[str, object] = {
    "grouper_scale": 2.0,
    "grouper_temperature": 0.5,
    "grouper_heads": 2,
    "affinity": "keys",
    "precision": "bf16",
}


@pytest.mark.parametrize("key", SCORER_CHANGES)
def test_every_scorer_setting_is_in_its_digest(key: str) -> None:
    base = FoundationSpec(precision="fp32")
    assert build_scorer(base).digest != build_scorer(base.model_copy(update={key: SCORER_CHANGES[key]})).digest
    if key not in GROUPER_CHANGES:
        assert build_grouper(base).digest == build_grouper(base.model_copy(update={key: SCORER_CHANGES[key]})).digest


@pytest.mark.parametrize("key", GROUPER_CHANGES)
def test_every_grouper_setting_is_in_its_digest(key: str) -> None:
    base = FoundationSpec(precision="fp32")
    assert build_grouper(base).digest != build_grouper(base.model_copy(update={key: GROUPER_CHANGES[key]})).digest


@pytest.mark.parametrize(
    ("role", "change"),
    [
        ("scorer", {"evidence": "margin"}),
        ("scorer", {"competition": 0.1}),
        ("scorer", {"scorer_stride": 16}),
        ("scorer", {"scorer_temperature": 0.5}),
        ("grouper", {"grouper_centred": True}),
        ("grouper", {"grouper_temperature": 0.5}),
    ],
)
def test_settings_of_timm_models_are_in_their_digests(role: str, change: dict[str, object], tmp_path: Path) -> None:
    state = timm.create_model("resnet18", pretrained=False).state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "resnet18.safetensors")
    base = FoundationSpec(scorer="classifier:resnet18", grouper="features:resnet18")
    build = {"scorer": build_scorer, "grouper": build_grouper}[role]
    assert build(base, tmp_path).digest != build(base.model_copy(update=change), tmp_path).digest


def test_lists_may_be_written_with_commas() -> None:
    assignments = ["foundation.background=sky, grass", "foundation.scorer_scales=1,2"]
    assignments.append("foundation.cosegment.pamr_dilations=1,2,4")
    foundation = make_spec({"benchmark": "scenes-15-5", **nested(assignments)}).foundation
    assert foundation.background == ("sky", "grass")
    assert foundation.scorer_scales == (1.0, 2.0)
    assert foundation.cosegment.pamr_dilations == (1, 2, 4)
    with pytest.raises(SpecError, match="scorer_scales"):
        make_spec({"benchmark": "scenes-15-5", **nested(["foundation.scorer_scales=0"])})


def test_precision_auto_has_the_digest_of_what_it_means_here() -> None:
    meant = "bf16" if has_bf16(torch.device("cpu")) else "fp32"
    specs = [FoundationSpec(precision=precision) for precision in ("auto", meant)]  # type: ignore[arg-type]
    assert build_scorer(specs[0]).digest == build_scorer(specs[1]).digest
    assert build_grouper(specs[0]).digest == build_grouper(specs[1]).digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scorer": "clap:scenes"}, "write one of clip:MODEL, classifier:MODEL. Did you mean 'clip'"),
        ({"scorer": "clip:ViT-B-61/openai"}, "no model 'ViT-B-61'. Did you mean 'ViT-B-16'"),
        ({"scorer": "clip:ViT-B-16"}, "names no weights; write clip:ViT-B-16/TAG"),
        ({"grouper": "dino:vit_smal_patch16_224"}, "timm has no model 'vit_smal_patch16_224'"),
        ({"scorer": "classifier"}, "is no scorer"),
        (
            {"grouper": "dino:vit_base_patch16_224.dinoo"},
            "timm has no weights 'vit_base_patch16_224.dinoo'. Did you mean",
        ),
    ],
)
def test_unknown_names(change: dict[str, str], message: str) -> None:
    spec = FoundationSpec.model_validate(change)
    with pytest.raises(SpecError, match=message):
        build_scorer(spec) if "scorer" in change else build_grouper(spec)


def test_weights_are_never_silently_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsNotFoundError, match="put a safetensors file of that timm model"):
        build_grouper(FoundationSpec(grouper="features:resnet18"), tmp_path)
    with pytest.raises(WeightsNotFoundError, match=r"'nothing\.safetensors' does not exist"):
        find_weights("resnet18", "nothing.safetensors", None)


def test_prompts_match_imagenet_lemmas() -> None:
    names = imagenet_names(SimpleNamespace(num_classes=1000))
    assert [names[i].split(",")[0] for i in match_prompts(["flowerpot"], names)] == ["pot"]
    assert {names[i].split(",")[0] for i in match_prompts(["electric locomotive"], names)} == {"electric locomotive"}
    assert match_prompts(["zebra crossing"], names) == []
    with pytest.raises(SpecError, match=r"of 'zebra'; the nearest it has: .*zebra"):
        require_matches({"zebra": ("zebar",)}, names)
    with pytest.raises(SpecError, match="no known ImageNet label set"):
        imagenet_names(SimpleNamespace(num_classes=17))


def test_every_known_label_set_has_as_many_names_as_the_classifier_outputs() -> None:
    for count in (1000, 11821, 21841, 21843):
        assert len(imagenet_names(SimpleNamespace(num_classes=count))) == count
    first = imagenet_names(SimpleNamespace(num_classes=21841))[0]
    assert first.startswith("organism")


def test_open_clip_is_registered_once() -> None:
    build_scorer(FoundationSpec())
    assert "clip_scenes" in open_clip.list_models()


def test_images_of_the_wrong_form_are_refused() -> None:
    with pytest.raises(ValueError, match="stack RGB images and divide by 255"):
        prepare(torch.zeros(3, 8, 8), HALF, HALF, 1.0, 8)
    assert prepare(torch.zeros(1, 3, 1, 1), HALF, HALF, 1.0, 16).shape == (1, 3, 16, 16)


def test_models_of_one_image_size_are_refused_in_words(tmp_path: Path) -> None:
    for name in ("swin_tiny_patch4_window7_224", "resnet18"):
        state = timm.create_model(name, pretrained=False).state_dict()
        save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / f"{name}.safetensors")
    with pytest.raises(SpecError, match="does not take images of any size"):
        build_grouper(FoundationSpec(grouper="features:swin_tiny_patch4_window7_224"), tmp_path)
    with pytest.raises(SpecError, match="is no plain ViT with attention to read; use features:resnet18"):
        build_grouper(FoundationSpec(grouper="dino:resnet18"), tmp_path)
    assert build_grouper(FoundationSpec(grouper="features:resnet18"), tmp_path).grid(64, 96) == (4, 6)
