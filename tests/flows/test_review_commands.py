"""``wilss labels review`` and ``apply``: what people and scripts say, and what becomes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stores.labels.review import Key, Review, RowState
from stores.labels.stats import row_score
from tests.commands import Wilss
from tests.stores.labels.review.sets import opened, published


def test_a_script_reviews_and_applies(wilss: Wilss, tmp_path: Path) -> None:
    store, manifest = published(tmp_path)
    one = manifest.digest[:12]
    code, out, err = wilss("labels", "review", one, "--root", tmp_path)
    assert (code, out) == (0, f"nobody said anything of label set {one} yet\n"), err
    said = ("--verdict", "reject", "--image", "img-0", "--class", "cat", "--note", "blurred", "--who", "ada")
    code, out, err = wilss("labels", "review", one, *said, "--root", tmp_path)
    assert code == 0, err
    assert f"last acts on label set {one}" in out
    assert "1 rejected; 1 image left out; 1 note; 1 act by ada" in out
    assert f"not applied yet: wilss labels apply {one}" in out
    code, out, err = wilss("labels", "apply", one, "--root", tmp_path)
    assert code == 0, err
    child = store.all("labels")[-1].digest[:12]
    assert out == (
        f"label set {child}: 8 images, 8 masks\n1 rejected; 1 image left out\n"
        f"learn from it with --labels reviewed, or from it alone with --labels {child}\n"
    )
    code, out, _ = wilss("labels", "review", one, "--root", tmp_path)
    assert out.endswith(f"applied: label set {child}\n")
    code, out, _ = wilss("labels", "review", one, "--note", "dark", "--image", "img-1", "--root", tmp_path)
    assert out.endswith(f"1 acts since it was applied: wilss labels apply {one}\n")
    assert Review.open(tmp_path, manifest.digest).states == {
        Key("img-0", "cat"): RowState("rejected", "", "blurred"),
        Key("img-1", ""): RowState(note="dark"),
    }
    code, out, _ = wilss("labels", "list", "--root", tmp_path)
    assert re.search(f"reviewed +│ {one}", out)


def test_rows_above_a_score_are_accepted(wilss: Wilss, tmp_path: Path) -> None:
    store, manifest = published(tmp_path)
    above = int((row_score(opened(store, manifest)) > 0.5).sum())
    assert 0 < above < 9
    code, out, _ = wilss("labels", "review", manifest.digest, "--accept-above", "0.5", "--root", tmp_path)
    assert code == 0
    assert out.startswith(f"{above} rows accepted, as their score is above 0.5\n")
    assert f"{above} accepted; 0 notes; 1 act by" in out


def test_a_review_is_moved_and_carried_on(wilss: Wilss, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (_, manifest), (_, other), _ = published(here), published(here, "b"), published(there)
    one, file = manifest.digest[:12], tmp_path / "file.jsonl"
    said = ("--verdict", "absent", "--image", "img-0", "--class", "cat", "--root", here)
    wilss("labels", "review", one, *said)
    code, out, err = wilss("labels", "review", one, "--export", file, "--root", here)
    assert code == 0, err
    assert out.startswith(f"1 acts and 0 painted masks written to {file}\n")
    code, out, err = wilss("labels", "review", one, "--import", file, "--root", there)
    assert code == 0, err
    assert out.startswith("1 acts taken, 0 were here already\n")
    assert Review.open(there, manifest.digest).acts == Review.open(here, manifest.digest).acts
    code, out, _ = wilss("labels", "review", other.digest, "--root", here)
    hint = f"'wilss labels review {other.digest[:12]} --from {one}'"
    assert f"1 corrections of label set {one} hold for this one too; carry them on with {hint}" in out
    code, out, err = wilss("labels", "review", other.digest, "--from", one, "--root", here)
    assert code == 0, err
    assert out.startswith("1 rows carried on\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--verdict", "reject"], "name --image and --class"),
        (["--verdict", "reject", "--image", "img-0"], "name --image and --class"),
        (["--note", "x"], "name --image and --class; a note needs --image alone"),
        (["--verdict", "bad", "--image", "img-0", "--class", "cat"], "unknown verdict 'bad'"),
        (["--verdict", "reject", "--image", "img-0", "--class", "dog"], "has no mask to be rejected"),
        (["--verdict", "reject", "--image", "im", "--class", "cat"], "image 'im' is not in this label set"),
        (["--verdict", "reject", "--image", "img-0", "--class", "cat", "--who", "\x1b"], "is no name of a person"),
        (["--import", "none"], "'none' cannot be read"),
        (["--from", "zzz"], "'zzz' does not exist among the reviews"),
    ],
)
def test_mistakes_are_one_sentence(options: list[str], message: str, wilss: Wilss, tmp_path: Path) -> None:
    _, manifest = published(tmp_path)
    code, out, err = wilss("labels", "review", manifest.digest, *options, "--root", tmp_path)
    assert code == 2
    assert out == ""
    assert err.startswith("wilss: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.glob("reviews/*/acts.jsonl"))
