"""``wilss models export`` and ``import`` as commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from tests.stores.models.test_bring import checkpoint, network
from tests.stores.students import publish_student


def test_what_was_exported_predicts(wilss: Any, tmp_path: Path) -> None:
    root, digest = tmp_path / "root", publish_student(tmp_path / "root").digest
    Image.new("RGB", (30, 20), (200, 30, 30)).save(tmp_path / "a.png")
    code, out, err = wilss("models", "export", digest[:8], "--to", tmp_path / "m", "--root", root)
    assert (code, err) == (0, "")
    assert out.strip() == str(tmp_path / "m")
    code, out, _ = wilss("predict", tmp_path / "m", tmp_path / "a.png", "--out", tmp_path / "o", "--root", root)
    assert code == 0
    assert Image.open(tmp_path / "o" / "a.png").size == (30, 20)


def test_refusals_are_sentences(wilss: Any, tmp_path: Path) -> None:
    root, digest = tmp_path / "root", publish_student(tmp_path / "root").digest
    (tmp_path / "there").mkdir()
    for more, message in (
        (["--to", tmp_path / "there"], "is there already and is not replaced"),
        (["--to", tmp_path / "m", "--int8"], "--int8 makes an ONNX model; add --format onnx"),
        (["--to", tmp_path / "m", "--format", "tflite"], "tflite"),
    ):
        code, _, err = wilss("models", "export", digest, *more, "--root", root)
        assert code != 0
        assert message in " ".join(err.split())
        assert "Traceback" not in err
    assert not (tmp_path / "m").exists()


def test_a_student_of_mib_is_imported_and_told(wilss: Any, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "mib.pth", network(sizes=(1, 2)))
    code, _, err = wilss("models", "import", path, "--to", tmp_path / "m")
    assert code == 2
    assert "3 classes in steps of 1, 2, and no names; give --benchmark" in " ".join(err.split())
    code, out, _ = wilss("models", "import", path, "--to", tmp_path / "m", "--classes", "cat", "hat", "bat")
    assert code == 0
    assert "resnet18 with 3 classes: cat, hat, bat" in out
    assert json.loads((tmp_path / "m" / "config.json").read_text())["id2label"]["3"] == "bat"
