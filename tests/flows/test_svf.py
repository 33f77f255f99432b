"""Steps tuned by singular values in a whole run, and ``wilss svf`` on what they leave."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from stores.artefacts import Store
from stores.models.vectors import load_vectors, save_vectors
from tasks import prepare
from tests.stores.damage import restamp
from wilss.errors import SpecError
from wilss.models.files import load_student
from wilss.nets.vectors import VectorSets
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = pytest.mark.usefixtures("prefect_backend")

SPEC = {
    "benchmark": "scenes-10-5-5",
    "preset": "tiny",
    "method": "wilson",
    "step": {"tuning": "svf", "lr_backbone": 0.02},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, prefect_backend: None) -> tuple[Path, list[str]]:
    """Root, and the digests of the checkpoints of steps 0, 1 and 2."""
    from flows.benchmark import run_benchmark

    root = tmp_path_factory.mktemp("svf")
    report = run_benchmark(make_spec(SPEC), Settings(root=root))
    return root, [report["artefacts"][f"checkpoint {step}"] for step in range(3)]


def student(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_both_steps_have_vectors_on_the_bases_of_step_0(run: tuple[Path, list[str]]) -> None:
    root, digests = run
    folders = [Store(root).path("checkpoints", digest) for digest in digests]
    assert load_vectors(folders[0]) is None
    models = [load_student(folder)[0] for folder in folders]
    stored = [load_vectors(folder) for folder in folders[1:]]
    assert [found.checkpoint for found in stored if found] == [digests[0]] * 2
    assert stored[0] is not None
    sets = VectorSets(models[0].backbone, tuple(stored[0].vectors))
    images = torch.rand(2, 3, 64, 64)
    for step, found in enumerate(stored, start=1):
        assert found is not None
        assert (folders[step] / "svf.safetensors").stat().st_size < 30_000
        sets.add(step, found.vectors)
    for step in (2, 1, 0):
        sets.activate(step)
        with torch.inference_mode():
            expected = models[step].features(images)
            assert float((sets.network(models[step].normalise(images))[-1] - expected).norm() / expected.norm()) < 1e-5
    assert any(not torch.equal(sets.state(1)[name], sets.state(2)[name]) for name in sets.state(1))


def test_a_backbone_without_the_stages_is_refused_before_step_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.benchmark import run_benchmark

    monkeypatch.setattr(prepare, "SVF_STAGES", 9)
    with pytest.raises(SpecError, match="cannot take the last 9 of the stages"):
        run_benchmark(make_spec(SPEC), Settings(root=tmp_path))
    assert not list(tmp_path.glob("checkpoints/*"))


def test_report_says_what_moved_and_shows_it(wilss, run: tuple[Path, list[str]], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root, digests = run
    code, out, err = wilss("svf", "report", digests[2][:10], "--root", root, "--count", 3)
    assert code == 0, err
    folder = root / "svf" / digests[2]
    assert str(folder / "svf.html") in out.replace("\n", "")
    report = json.loads((folder / "report.json").read_text())
    assert (report["step"], report["bases"], report["n_images"]) == (2, f"checkpoint {digests[0][:12]}", 24)
    assert 0 < report["foreground_area"] < 1
    for kind, sign in (("risen", 1), ("fallen", -1)):
        changes = [sign * (entry["factor"] - 1) for entry in report[kind]]
        assert changes == sorted(changes, reverse=True)
        assert len(changes) == 3
        assert changes[-1] > 0
        assert all(0 <= entry["foreground"] <= 1 for entry in report[kind])
    rows = list(csv.DictReader((folder / "layers.csv").open()))
    assert sum(int(row["rank"]) for row in rows) == report["n_values"]
    assert max(float(row["max_up"]) for row in rows) == pytest.approx(report["risen"][0]["factor"] - 1)
    html = (folder / "svf.html").read_text()
    assert html.count("<img ") == 2 * 4 * (1 + 3), "four scenes, and a map of each of three components"
    assert not re.search(r"(src|href)=.http|@import|url\(http", html)


def test_report_on_pictures_of_ones_own(wilss, run: tuple[Path, list[str]], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root, digests = run
    for number, size in enumerate([(70, 50), (40, 90)]):
        Image.effect_noise(size, 60).save(tmp_path / f"photo{number}.png")
    photos = [tmp_path / "photo0.png", tmp_path / "photo1.png"]
    options = ["--images", *photos, "--by", "value", "--out", tmp_path / "out", "--root", root]
    code, out, err = wilss("svf", "report", digests[1], *options)
    assert code == 0, err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["n_images"], report["foreground_area"], report["by"]) == (2, None, "value")
    assert report["risen"][0]["foreground"] is None
    assert "objects cover" not in out
    assert "on objects" not in (tmp_path / "out" / "svf.html").read_text()


def test_every_step_can_be_folded_and_predicts_as_its_checkpoint(
    wilss,  # type: ignore[no-untyped-def]
    run: tuple[Path, list[str]],
    tmp_path: Path,
) -> None:
    root, digests = run
    Image.effect_noise((64, 64), 60).save(tmp_path / "photo.png")
    for step in range(3):
        out = tmp_path / f"step{step}"
        code, said, err = wilss("svf", "fold", digests[2], "--step", step, "--out", out, "--root", root)
        assert code == 0, err
        assert f"the student of step {step}" in said
        own, folded = student(Store(root).path("checkpoints", digests[step])), student(out)
        assert set(own) == set(folded)
        assert all(torch.allclose(own[name], folded[name], rtol=1e-5, atol=1e-6) for name in own)
        assert not (out / "svf.safetensors").exists()
        for name, checkpoint in (("folded", out), ("own", digests[step])):
            to = tmp_path / f"{name}{step}"
            code, _, err = wilss("predict", checkpoint, tmp_path / "photo.png", "-o", to, "--root", root)
            assert code == 0, err
        results = [(tmp_path / f"{name}{step}" / "photo.png").read_bytes() for name in ("folded", "own")]
        assert results[0] == results[1]
    code, said, _ = wilss("svf", "fold", digests[1], "--out", tmp_path / "default", "--root", root)
    assert (code, "the student of step 1" in said) == (0, True)


def test_export_is_the_set_alone(wilss, run: tuple[Path, list[str]], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root, digests = run
    out = tmp_path / "sub" / "step1.safetensors"
    code, said, err = wilss("svf", "export", digests[1], "--out", out, "--root", root)
    assert code == 0, err
    assert digests[0][:12] in said
    found = load_vectors(Store(root).path("checkpoints", digests[1]))
    assert found is not None
    exported = load_file(out)
    assert all(torch.equal(exported[name], value) for name, value in found.vectors.items())
    own = Store(root).path("checkpoints", digests[1]) / "svf.safetensors"
    code, _, err = wilss("svf", "export", digests[1], "--out", own, "--root", root)
    assert code == 2
    assert "is the checkpoint's own vector set; name another file" in err


@pytest.fixture
def damaged(run: tuple[Path, list[str]], tmp_path: Path) -> Path:
    """Checkpoint of step 1 whose vectors are not its own."""
    root, digests = run
    folder = tmp_path / "damaged"
    shutil.copytree(Store(root).path("checkpoints", digests[1]), folder)
    found = load_vectors(folder)
    assert found is not None
    for value in found.vectors.values():
        value.mul_(1.5)
    save_vectors(found, folder)
    restamp(folder)
    return folder


def test_mistakes_are_named(wilss, run: tuple[Path, list[str]], damaged: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root, digests = run
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    loose = tmp_path / "loose"
    shutil.copytree(damaged, loose)
    (loose / "manifest.json").unlink()
    out, there = ["--out", tmp_path / "new"], ["--root", root]
    cases = [
        (["report", digests[0], *there], "has no vector set (svf.safetensors): a step t >= 1 keeps one"),
        (["export", digests[0], *out, *there], "--set step.tuning=svf"),
        (["fold", digests[0], *out, *there], "--set step.tuning=svf"),
        (["report", "ffff", *there], "'ffff' does not exist among the checkpoints"),
        (["report", digests[1], "--count", "0", *there], "0 components cannot be shown"),
        (["report", digests[1], "--images", tmp_path / "no.png", *there], "no.png' does not exist"),
        (["fold", digests[2], "--step", "7", *out, *there], "know no step 7; they know the steps 0, 1, 2"),
        (["fold", digests[1], "--step", "2", *out, *there], "know no step 2; they know the steps 0, 1"),
        (["fold", digests[1], "--out", tmp_path / "there", *there], "there' exists already"),
        (["export", digests[1], "--out", tmp_path / "there", *there], "there' is a folder"),
        (["report", digests[1], "--out", tmp_path / "file", *there], "file' cannot be written to (File exists)"),
        (["export", digests[1], "--out", tmp_path / "file" / "g", *there], "file' cannot be written to"),
        (["fold", digests[1], "--out", tmp_path / "file" / "new", *there], "file' cannot be written to"),
        (["fold", damaged, *out, *there], "is not the checkpoint's own weight"),
        (["fold", damaged, *out, "--root", tmp_path], f"checkpoint {digests[0][:12]}, which is not in"),
        (["fold", loose, "--step", "9", *out, *there], "manifest.json' is damaged (No such file or directory)"),
    ]
    for arguments, message in cases:
        code, _, err = wilss("svf", *arguments)
        assert code == 2, arguments
        assert message in err
        assert "Traceback" not in err
        assert not (tmp_path / "new").exists()


def test_bases_that_were_trained_again_are_noticed(wilss, run: tuple[Path, list[str]], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root, digests = run
    shutil.copytree(root / "checkpoints", tmp_path / "checkpoints")
    path = Store(tmp_path).path("checkpoints", digests[0]) / "model.safetensors"
    state = load_file(path)
    save_file(
        {name: value * 1.01 if name.startswith("backbone.layer3") else value for name, value in state.items()}, path
    )
    restamp(path.parent)
    code, _, err = wilss("svf", "report", digests[2], "--root", tmp_path)
    assert code == 2
    assert "other weights than when its vectors were trained" in err
