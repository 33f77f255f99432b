"""The scorer that is chosen: it knows most of the classes, and says what it was chosen before."""

from __future__ import annotations

from pathlib import Path

import pytest

from wilss.foundation.choose import choose_scorer
from wilss.foundation.spec import FoundationSpec

WORDS = {"sheep": ("ram", "bighorn"), "train": ("bullet train",), "gadget": ("gadget",)}
AUTO = FoundationSpec(scorer="auto")


def weights(folder: Path, **sizes: int) -> Path:
    """Files that only have names and sizes: nothing is loaded to choose."""
    for name, size in sizes.items():
        (folder / f"{name}.safetensors").write_bytes(bytes(size))
    return folder


def test_the_two_largest_that_know_the_same_words_are_averaged_and_what_they_lack_is_said(tmp_path: Path) -> None:
    folder = weights(tmp_path, mobilenetv2_100=7, tf_efficientnet_lite2=12, resnet18=3, notes=99)
    name, why = choose_scorer(AUTO, WORDS, folder)
    assert name == "classifier:tf_efficientnet_lite2+mobilenetv2_100"
    assert why == (
        "scorer classifier:tf_efficientnet_lite2+mobilenetv2_100: they know 2 of 3 classes, not gadget; chosen before "
        "classifier:resnet18"
    )


def test_a_network_is_not_averaged_with_itself(tmp_path: Path) -> None:
    for name, size in (("mobilenetv2_100", 7), ("mobilenetv2_100.ra_in1k", 8), ("resnet18", 3)):
        (tmp_path / f"{name}.safetensors").write_bytes(bytes(size))
    assert choose_scorer(AUTO, WORDS, tmp_path)[0] == "classifier:mobilenetv2_100.ra_in1k+resnet18"


def test_one_alone_is_taken_alone(tmp_path: Path) -> None:
    name, why = choose_scorer(AUTO, WORDS, weights(tmp_path, tf_efficientnet_lite2=12))
    assert (name, why) == (
        "classifier:tf_efficientnet_lite2",
        "scorer classifier:tf_efficientnet_lite2: it knows 2 of 3 classes, not gadget",
    )


def test_a_clip_reads_any_words_and_comes_first(tmp_path: Path) -> None:
    (tmp_path / "ViT-B-16-openai.pt").write_bytes(b"1")
    name, why = choose_scorer(AUTO, WORDS, weights(tmp_path, mobilenetv2_100=7))
    assert (name, why.partition(";")[0]) == (
        "clip:ViT-B-16/openai",
        "scorer clip:ViT-B-16/openai: it knows 3 of 3 classes",
    )
    known = {"sheep": ("ram",)}
    assert choose_scorer(AUTO, known, tmp_path)[0] == "clip:ViT-B-16/openai", "also where all know all"


def test_what_cannot_have_the_stride_is_left_out(tmp_path: Path) -> None:
    folder = weights(tmp_path, mobilenetv2_100=7, deit_tiny_patch16_224=11)
    assert choose_scorer(AUTO, WORDS, folder)[0] == "classifier:deit_tiny_patch16_224+mobilenetv2_100"
    strided = FoundationSpec(scorer="auto", scorer_stride=16)
    assert choose_scorer(strided, WORDS, folder)[0] == "classifier:mobilenetv2_100"


@pytest.mark.parametrize("named", [True, False])
def test_without_weights_at_hand_it_is_said_what_is_taken_instead(tmp_path: Path, named: bool) -> None:
    name, why = choose_scorer(AUTO, WORDS, tmp_path if named else None)
    assert name == "classifier:mobilenetv2_100"
    assert (str(tmp_path) in why) == named
    assert "weights" in why
