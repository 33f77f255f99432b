"""``wilss models``: lists, promotions and rollbacks as people call them, and what they are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from stores.artefacts import ArtefactRef, Recipe, Store
from stores.evaluations import class_shares, read_confusions, read_counts, save_confusions
from tests.flows.conftest import photo
from tests.stores.students import publish_student
from wilss.aliases import aliases_of, moves_of
from wilss.measure.confusion import iou


def evaluate(root: Path, student: ArtefactRef, matrix: list[list[int]], number: int = 0) -> ArtefactRef:
    store, recipe = Store(root), Recipe("evaluations", {"number": number, "data": "abcd"}, {"checkpoint": student})
    with store.build(recipe) as folder:
        save_confusions(("a", "b"), {"full": torch.tensor(matrix)}, folder)
        return store.publish(recipe, folder, {"images": 5}).ref


@pytest.fixture
def students(tmp_path: Path) -> list[str]:
    return [publish_student(tmp_path, number).digest for number in range(3)]


def test_shares_without_torch_are_those_with_it(tmp_path: Path) -> None:
    student = publish_student(tmp_path)
    found = evaluate(tmp_path, student, [[50, 1, 2], [3, 40, 0], [0, 0, 0]])
    folder = Store(tmp_path).folder(found)
    wanted = iou(read_confusions(folder)["full"]).tolist()
    shares = class_shares(read_counts(folder))
    assert list(shares) == ["background", "a", "b"]
    assert shares["b"] is None
    assert list(shares.values())[:2] == pytest.approx(wanted[:2])


def test_a_list_and_a_model(wilss: Any, tmp_path: Path) -> None:
    base = publish_student(tmp_path)
    student = publish_student(tmp_path, 1, previous=base)
    evaluate(tmp_path, student, [[8, 2, 0], [0, 6, 0], [4, 0, 4]])
    code, out, _ = wilss("models", "promote", student.digest[:8], "--why", "the first", "--root", tmp_path)
    assert (code, out) == (
        0,
        f"{student.digest[:12]} was loaded and segmented an image\nchampion: nothing -> {student.digest[:12]}\n",
    )
    code, out, err = wilss("models", "list", "--root", tmp_path)
    assert (code, err) == (0, "")
    line = next(line for line in out.splitlines() if student.digest[:12] in line)
    mean = 100 * (8 / 14 + 6 / 8 + 4 / 8) / 3
    assert [cell.strip() for cell in line.strip("│ ").split("│")][1:2] == ["champion"]
    assert f" {mean:.1f} " in line
    listed = json.loads(wilss("models", "list", "--json", "--root", tmp_path)[1])
    assert [one["digest"] for one in listed] == [student.digest, base.digest], "newest first"
    assert listed[0]["all"] == pytest.approx(mean / 100)
    assert listed[0]["evaluations"][0]["per_class"]["b"] == pytest.approx(0.5)
    assert (listed[1]["aliases"], listed[1]["all"]) == ([], None)
    code, out, _ = wilss("models", "show", "champion", "--root", tmp_path)
    assert code == 0
    for part in (student.digest, base.digest[:12], "step 0: a, b", "the first", "called champion", f"{mean:.1f}"):
        assert part in out
    facts = json.loads(wilss("models", "show", "champion", "--json", "--root", tmp_path)[1])
    assert facts["parents"] == {"previous": base.digest}
    assert facts["card"]["classes"] == ["a", "b"]
    assert [move["why"] for move in facts["moves"]] == ["the first"]


def test_promotions_and_rollbacks_say_what_moved(wilss: Any, tmp_path: Path, students: list[str]) -> None:
    a, b, c = students
    short = [digest[:12] for digest in students]
    assert wilss("models", "promote", a, "--root", tmp_path)[0] == 0
    code, out, _ = wilss("models", "promote", b, "--who", "ada", "--root", tmp_path)
    assert out.splitlines()[1:] == [
        f"champion: {short[0]} -> {short[1]}",
        f"previous: {short[0]} (go back with 'wilss models rollback')",
    ]
    code, out, _ = wilss("models", "promote", b, "--root", tmp_path)
    assert (code, f"champion points to {short[1]} already, since" in out) == (0, True)
    assert "(ada); nothing was moved" in out
    code, _, err = wilss("models", "promote", c, "--expect", a[:6], "--root", tmp_path)
    assert code == 2
    assert f"'champion' points to {short[1]} by now" in err
    code, out, _ = wilss("models", "rollback", "--why", "worse at dusk", "--root", tmp_path)
    assert out.splitlines() == [
        f"champion: {short[1]} -> {short[0]}",
        f"previous: {short[1]} (go back with 'wilss models rollback')",
        f"another rollback of 'champion' goes forward again, to {short[1]}",
    ]
    assert moves_of(tmp_path)[-1].why == "worse at dusk"
    code, out, _ = wilss("models", "alias", "eu", "champion", "--expect", "none", "--root", tmp_path)
    assert out.splitlines()[-1] == f"eu: nothing -> {short[0]}"
    code, out, _ = wilss("models", "alias", "eu", "--remove", "--root", tmp_path)
    assert out.splitlines() == [f"eu: {short[0]} -> nothing"]
    assert aliases_of(tmp_path) == {"champion": a, "previous": b}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rollback", "'champion' has no previous model"),
        ("rollback --alias champoin", "there is no alias 'champoin' in '{root}'. Did you mean 'champion'?"),
        ("promote champoin", "no model is called 'champoin' in '{root}': no folder, alias or digest. Did you mean"),
        ("promote 0000", "'0000' does not exist among the checkpoints in '{root}'; there: "),
        ("show champoin", "Did you mean 'champion'?"),
        ("alias beef champion", "'beef' is no name for an alias: it reads like a digest"),
        ("alias ../x champion", "'../x' is no name for an alias"),
        ("alias previous champion", "'previous' follows the champion and is not moved by hand"),
        ("alias eu", "name the model that the alias is to point to, or give --remove"),
        ("alias eu --remove", "there is no alias 'eu' in '{root}'"),
        ("promote {outside}", "'{outside}' is no checkpoint of the store '{root}'; name one of 'wilss models list'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: str, said: str, wilss: Any, tmp_path: Path, checkpoint: Path
) -> None:
    root = tmp_path / "root"
    assert wilss("models", "promote", publish_student(root).digest, "--root", root)[0] == 0
    named = {"root": root, "outside": checkpoint}
    code, out, err = wilss("models", *words.format(**named).split(), "--root", root)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said.format(**named) in err
    assert len(moves_of(root)) == 1


def test_an_alias_whose_model_is_gone(wilss: Any, tmp_path: Path, students: list[str]) -> None:
    import shutil

    wilss("models", "promote", students[0], "--root", tmp_path)
    shutil.rmtree(Store(tmp_path).path("checkpoints", students[0]))
    for words in (("models", "show", "champion"), ("predict", "champion", photo(tmp_path / "x.png"), "-o", tmp_path)):
        code, _, err = wilss(*words, "--root", tmp_path)
        assert (code, f"alias 'champion' points to {students[0][:12]}, which is not among" in err) == (2, True)
    code, out, _ = wilss("models", "promote", students[1], "--root", tmp_path)
    assert (code, f"champion: {students[0][:12]} -> {students[1][:12]}" in out) == (0, True)


def test_a_model_that_cannot_predict_is_not_promoted(wilss: Any, tmp_path: Path) -> None:
    broken = publish_student(tmp_path, broken=True)
    code, out, err = wilss("models", "promote", broken.digest, "--root", tmp_path)
    assert (code, out) == (2, "")
    assert "what it computes of an image is no finite number" in err
    assert aliases_of(tmp_path) == {}


def test_the_champion_predicts(wilss: Any, tmp_path: Path, students: list[str]) -> None:
    import wilss as scripts

    wilss("models", "promote", students[0], "--root", tmp_path)
    out = tmp_path / "out"
    code, _, err = wilss("predict", "champion", photo(tmp_path / "x.png"), "-o", out, "--root", tmp_path)
    assert code == 0, err
    assert (out / "x.png").is_file()
    assert scripts.load("champion", tmp_path).card.classes == ("a", "b")


def test_an_exported_model_is_the_model(wilss: Any, tmp_path: Path, students: list[str]) -> None:
    import wilss as scripts

    to, folder = tmp_path / "out" / "model", Store(tmp_path).path("checkpoints", students[0])
    code, out, err = wilss("models", "export", students[0], "--to", to, "--root", tmp_path)
    assert (code, out) == (0, f"{to}\n"), err
    assert sorted(path.name for path in to.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    kept, own = load_file(to / "model.safetensors"), load_file(folder / "model.safetensors")
    assert kept.keys() == own.keys()
    assert all(torch.equal(kept[name], value) for name, value in own.items())
    assert scripts.load(to).card == scripts.load(folder).card
    code, _, err = wilss("models", "export", students[0], "--to", to, "--root", tmp_path)
    assert (code, "is there already and is not replaced" in err) == (2, True)
    weights = folder / "model.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))
    code, _, err = wilss("models", "export", students[0], "--to", tmp_path / "other", "--root", tmp_path)
    assert (code, "model.safetensors' is damaged" in err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir() if "other" in path.name) == []


def test_a_damaged_evaluation_hides_no_model(wilss: Any, tmp_path: Path) -> None:
    student = publish_student(tmp_path)
    found = evaluate(tmp_path, student, [[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    file = Store(tmp_path).folder(found) / "confusion.json"
    file.write_text(file.read_text().replace("1", "2", 1))
    code, out, err = wilss("models", "list", "--root", tmp_path)
    assert (code, student.digest[:12] in out) == (0, True)
    assert "confusion.json' is damaged (its content is not what was written)" in err


def test_a_damaged_log_hides_no_model(wilss: Any, tmp_path: Path, students: list[str]) -> None:
    wilss("models", "promote", students[0], "--root", tmp_path)
    log = tmp_path / "aliases" / "moves.jsonl"
    log.write_bytes(b"?" + log.read_bytes()[1:])
    code, out, err = wilss("models", "list", "--root", tmp_path)
    assert (code, students[2][:12] in out) == (0, True)
    assert "moves.jsonl' is damaged (line 1" in err
