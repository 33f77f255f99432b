"""Cards of label sets: written, read back, read from older notes, refused from newer ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stores.artefacts import Manifest
from stores.labels.card import FORMAT, LabelCard, read_card
from wilss.errors import FormatError

OLD = {
    "benchmark": "voc-15-5",
    "step": 1,
    "class_ids": [16, 17],
    "spec": {"benchmark": "voc-15-5"},
    "data_root": "/photographs",
    "voc_root": None,
}


def manifest(notes: dict[str, Any]) -> Manifest:
    return Manifest(format=1, kind="labels", digest="a", created="now", recipe={}, parents={}, counts={}, notes=notes)


def test_old_notes_are_read_and_new_ones_only_add_their_format() -> None:
    card = read_card(manifest(OLD), Path("set"), 2)
    assert (card.format, card.class_ids, card.data_root, card.seconds) == (1, (16, 17), Path("/photographs"), None)
    written = LabelCard(**{**OLD, "format": FORMAT}).notes()
    assert written == {**OLD, "format": FORMAT}
    assert LabelCard(**written, seconds=2.5).notes() == {**written, "seconds": 2.5}
    assert read_card(manifest(written), Path("set"), 2) == LabelCard(**written)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format": FORMAT + 1},
            r"'set/manifest.json' has format 3; this version reads up to 2. Upgrade wilss",
        ),
        ({"format": FORMAT + 1, "class_ids": None}, "Upgrade wilss"),
        ({"format": "x"}, r"manifest.json' is damaged: 'format' is 'x' .*; delete its folder and run again"),
        ({"format": 0}, "'format' is 0"),
        ({"class_ids": [16]}, "1 class ids for 2 classes"),
        ({"class_ids": [16, 10**9]}, r"'class_ids.1' is 1000000000"),
        ({"spec": 3}, "'spec' is 3"),
    ],
)
def test_notes_that_are_newer_or_damaged_are_told(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_card(manifest({**OLD, **changes}), Path("set"), 2)


def test_notes_that_are_missing_are_told() -> None:
    with pytest.raises(FormatError, match=r"manifest.json' is damaged: 'spec'"):
        read_card(manifest({}), Path("set"), 2)


def test_a_card_needs_no_torch() -> None:
    code = "import stores.labels.card, sys; print({'torch', 'zarr', 'prefect'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
