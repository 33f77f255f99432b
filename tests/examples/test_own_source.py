"""The example of a data set of one's own keeps the contract, and runs as it stands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import wilss as face
from wilss.data.scenes.source import ScenesSource
from wilss.data.source import VOID, Source
from wilss.data.spec import World
from wilss.data.voc import save_palette_png
from wilss.register import read_own_benchmark
from wilss.testing import SourceContract

CLASSES = ("sheep", "cow", "horse")
YAML = Path("examples/own_source.yaml")


def write_farm(root: Path, count: int = 48) -> Path:
    """Scenes of one object each, sorted into three folders; all have masks but those of the last class."""
    scenes = ScenesSource(World(image_size=48, max_objects=1), count, 1)
    for number, (image_id, tags) in enumerate(zip(scenes.ids("train"), scenes.tags("train"), strict=True)):
        k, mask = number % len(CLASSES), scenes.mask(image_id)
        (root / CLASSES[k]).mkdir(parents=True, exist_ok=True)
        (root / "masks" / CLASSES[k]).mkdir(parents=True, exist_ok=True)
        pixels = scenes.image(image_id).permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(root / CLASSES[k] / f"{image_id}.jpg", quality=95)
        if k < 2 or number % 2:
            mask[(mask > 0) & (mask < VOID)] = k + 1
            save_palette_png(mask, root / "masks" / CLASSES[k] / f"{image_id}.png")
        assert tags
    return root


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_farm(tmp_path_factory.mktemp("farm"))


@pytest.mark.usefixtures("registrations")
class TestClassFolders(SourceContract):
    @pytest.fixture(autouse=True)
    def _folder(self, farm: Path) -> None:
        self.folder = farm

    @pytest.fixture
    def source(self, _folder: None) -> Source:
        return self.make()

    def make(self) -> Source:
        return face.open_source(YAML, self.folder)


@pytest.mark.usefixtures("registrations", "prefect_backend")
def test_a_run_learns_from_it(wilss: Any, farm: Path, tmp_path: Path) -> None:
    options = ["--preset", "tiny", "--method", "finetune", "--root", tmp_path, "--set", "data.canvas=48"]
    code, _, err = wilss("run", YAML, "--data", farm, *options)
    assert code == 0, err
    (report,) = (json.loads(path.read_text()) for path in tmp_path.glob("runs/*/report.json"))
    assert list(report["per_class_iou"]) == ["background", *CLASSES]
    assert report["label_sets"][0]["images"] > 0


@pytest.mark.usefixtures("registrations")
def test_other_images_and_masks_are_other_data(farm: Path, tmp_path: Path) -> None:
    shutil.copytree(farm, tmp_path / "farm")
    content = read_own_benchmark(YAML)
    assert content["data"] == "class-folders"
    first, again = (face.open_source(YAML, tmp_path / "farm").fingerprint for _ in range(2))
    assert first == again
    next((tmp_path / "farm" / "masks" / "cow").iterdir()).unlink()
    assert face.open_source(YAML, tmp_path / "farm").fingerprint != first
