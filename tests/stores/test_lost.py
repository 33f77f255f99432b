"""What is lost of a store: what it needed stays, and every command tells it and promises nothing untrue."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from stores.artefacts import ArtefactRef, Recipe, Store
from stores.collect import collect, find_garbage
from stores.verify import repair, verify
from tests.stores.test_collect import garbage, named, publish, report

IMPORT = "wilss labels import FOLDER --parent"


def hand_made(root: Path, parent: ArtefactRef) -> ArtefactRef:
    store, recipe = Store(root), Recipe("labels", {"stage": "child"}, {"parent": parent})
    with store.build(recipe) as folder:
        (folder / "content").write_bytes(bytes(1000))
        return store.publish(recipe, folder, {}).ref


@pytest.mark.parametrize("lost", ["content", "manifest.json"])
def test_what_a_damaged_or_moved_set_made_by_hand_needs_stays(tmp_path: Path, lost: str) -> None:
    teacher = publish(tmp_path, "checkpoints", 0)
    parent = publish(tmp_path, "labels", 1, {"teacher": teacher})
    child, free = hand_made(tmp_path, parent), publish(tmp_path, "checkpoints", 2)
    (Store(tmp_path).folder(child) / lost).unlink()
    assert garbage(tmp_path) == []
    assert "is damaged" in find_garbage(tmp_path, True).kept[0]
    (said,) = repair(tmp_path)
    sure = f"no run makes it, as it was made by hand: take its masks again with '{IMPORT} {parent.digest[:12]}'"
    unsure = f"makes it anew, unless it was made by hand: take its masks again with '{IMPORT} SET'"
    assert said.endswith(sure if lost == "content" else unsure)
    deleted = [item.name for item in collect(tmp_path)]
    assert deleted == ([named(free)] if lost == "content" else []), "without its manifest nobody knows what it needs"
    assert Store(tmp_path).find(parent)
    assert Store(tmp_path).find(teacher)
    assert hand_made(tmp_path, parent) == child
    assert ("quarantined", named(child)) in garbage(tmp_path)


def test_what_is_named_and_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows import cli

    base, parent = publish(tmp_path, "checkpoints", 0), publish(tmp_path, "labels", 1)
    child = hand_made(tmp_path, parent)
    path = report(tmp_path, "a-run", {"checkpoint 0": base.digest, "labels 1": parent.digest})
    assert verify(tmp_path).missing == ()
    shutil.rmtree(Store(tmp_path).folder(base))
    shutil.rmtree(Store(tmp_path).folder(parent))
    told = {line.partition(" ")[0]: line for line in verify(tmp_path).missing}
    assert set(told) == {base.digest[:12], parent.digest[:12]}
    assert f"is not there, which '{path}' names as its 'checkpoint 0'; make it" in told[base.digest[:12]]
    assert "names as its 'labels 1', and 1 more name it" in told[parent.digest[:12]]
    path.unlink()
    (said,) = verify(tmp_path).missing
    assert f"which {named(child)} names as its 'parent'" in said
    monkeypatch.setattr(sys, "argv", ["wilss", "store", "verify", "--root", str(tmp_path)])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert capsys.readouterr().out.endswith("1 artefacts and 0 reports: 1 things that they name are gone\n")


def test_nothing_goes_while_the_page_of_a_report_is_left_alone(tmp_path: Path) -> None:
    needed = publish(tmp_path, "checkpoints", 0)
    path = report(tmp_path, "a-run", {"checkpoint 0": needed.digest})
    page = path.with_suffix(".html")
    page.touch()
    assert find_garbage(tmp_path, True).kept == ()
    path.unlink()
    assert garbage(tmp_path) == []
    assert list(collect(tmp_path)) == []
    (kept,) = find_garbage(tmp_path, True).kept
    said = f"'{path}' is damaged (it is gone, and its page 'report.html' is there); run again to write it anew, or"
    assert said in kept
    assert [str(fault).startswith(said) for fault in verify(tmp_path).faults] == [True]
    assert [line.startswith(said) for line in repair(tmp_path)] == [True]
    page.unlink()
    assert garbage(tmp_path) == [("artefact", named(needed))]


def test_swapped_artefacts_go_back_where_they_belong(tmp_path: Path) -> None:
    store, refs = Store(tmp_path), [publish(tmp_path, "checkpoints", number) for number in range(2)]
    refs.append(publish(tmp_path, "banks", 2))
    one, two, three = map(store.folder, refs)
    one.rename(tmp_path / "held")
    two.rename(one)
    three.rename(two)
    (tmp_path / "held").rename(three)
    assert len(verify(tmp_path).faults) == 3
    said = list(repair(tmp_path))
    assert [line.startswith("moved ") and "back, which lay in '" in line for line in said] == [True] * 3
    assert verify(tmp_path).faults == ()
    assert [store.folder(ref) for ref in refs] == [one, two, three]
    assert list(tmp_path.glob("*/.replaced-*")) == []
    assert list(repair(tmp_path)) == []


@pytest.mark.parametrize("spoilt", [True, False], ids=["spoilt", "a second one"])
def test_what_lies_elsewhere_replaces_nothing_that_is_right(tmp_path: Path, spoilt: bool) -> None:
    store, (right, wrong) = Store(tmp_path), (publish(tmp_path, "banks", number) for number in range(2))
    home, place = store.folder(right), store.folder(wrong)
    shutil.rmtree(place)
    shutil.copytree(home, place)
    if spoilt:
        shutil.rmtree(home)
        (place / "content").write_bytes(b"\1" * 1000)
    *moved, said = repair(tmp_path)
    assert "moved to" in said
    assert [line.startswith("moved banks") for line in moved] == [True] * spoilt, "it is mended where it belongs"
    assert (store.find(right) is None) == spoilt
    assert verify(tmp_path).faults == ()


@pytest.mark.parametrize("lost", ["content", "manifest.json"])
def test_of_two_swapped_artefacts_the_whole_one_goes_back_though_the_other_is_damaged(
    tmp_path: Path, lost: str
) -> None:
    store, (one, two) = Store(tmp_path), (publish(tmp_path, "checkpoints", number) for number in range(2))
    whole, torn = store.folder(one), store.folder(two)
    whole.rename(tmp_path / "held")
    torn.rename(whole)
    (tmp_path / "held").rename(torn)
    (whole / lost).write_bytes(b"\1" * 1000)
    told = " ".join(map(str, verify(tmp_path).faults))
    assert all(str(folder) in told for folder in (whole, torn))
    assert f"'{whole / lost}' is damaged" in told
    said = "\n".join(repair(tmp_path))
    assert f"moved checkpoints {one.digest[:12]} back, which lay in '{torn}'" in said
    assert f"{lost}' is damaged" in said
    assert store.find(one)
    assert (whole / "content").read_bytes() == bytes(1000)
    assert store.find(two) is None
    assert verify(tmp_path).faults == ()
    assert publish(tmp_path, "checkpoints", 1) == two


def test_a_whole_artefact_elsewhere_takes_its_place_from_what_is_damaged_there(tmp_path: Path) -> None:
    store, (right, wrong) = Store(tmp_path), (publish(tmp_path, "banks", number) for number in range(2))
    home, place = store.folder(right), store.folder(wrong)
    shutil.rmtree(place)
    shutil.copytree(home, place)
    (home / "content").unlink()
    said = list(repair(tmp_path))
    assert "moved to" in said[0]
    assert said[1:] == [f"moved banks {right.digest[:12]} back, which lay in '{place}'"]
    assert store.find(right)
    assert verify(tmp_path).faults == ()


def test_what_was_being_deleted_is_named_goes_and_comes_back_nowhere(tmp_path: Path) -> None:
    for by in (repair, collect):
        bank = publish(tmp_path, "banks", 1)
        gone = tmp_path / "banks" / f".replaced-{bank.digest}-gone"
        Store(tmp_path).folder(bank).rename(gone)
        assert garbage(tmp_path) == [("replaced", named(bank))]
        assert len(list(by(tmp_path))) == 1
        assert not gone.exists()
        assert verify(tmp_path).artefacts == 0
        assert list((tmp_path / "banks").glob("*/*")) == []
