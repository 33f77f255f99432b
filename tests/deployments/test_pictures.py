"""Pictures for the pages: made once by a process of their own, told why where they cannot be made."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from deployments.inspector.pictures import Pictures, Problem, Want
from stores.artefacts import Store
from stores.labels.origin import source_of
from stores.labels.view import LabelView
from tests.deployments.pictures import (
    BENCHMARK,
    made,
    publish_scenes,
    publish_student,
    refused,
    republish_with,
    spec_of_scenes,
)
from tests.pace import within
from wilss.data.palette import class_look
from wilss.data.source import Source
from wilss.foundation.cosegment import look
from wilss.foundation.seeds import seed_noise
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.models.model import Model
from wilss.models.predict import predict_image
from wilss.settings import Settings
from wilss.spec import make_spec

DOT = ([255] * 4, [0, 0, 0, 255])
"""White, and its black edge."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def digest(root: Path) -> str:
    return publish_scenes(root)


@pytest.fixture(scope="module")
def pictures(root: Path) -> Iterator[Pictures]:
    opened = Pictures(Settings(root=root, device="cpu"))
    yield opened
    asyncio.run(opened.close())
    assert opened._worker.pid is None


@pytest.fixture
def view(root: Path, digest: str) -> LabelView:
    return LabelView.open(root, digest)


@pytest.fixture
def source(view: LabelView) -> Source:
    return source_of(view.card, Settings(root=view.store.root))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_an_image_and_its_small_version_are_those_of_the_data(
    pictures: Pictures, digest: str, view: LabelView, source: Source
) -> None:
    image = source.image(view.labels.index.ids[1]).permute(1, 2, 0).numpy()
    large = pixels(made(pictures, Want(digest, "image", 1)))
    assert large.shape == image.shape
    assert np.abs(large.astype(int) - image).mean() < 6, "a JPEG of it"
    assert pixels(made(pictures, Want(digest, "thumb", 1))).shape == image.shape, "it is small already"


def test_sets_share_the_pictures_of_an_image_that_they_know_by_its_pixels(
    pictures: Pictures, root: Path, digest: str
) -> None:
    path = made(pictures, Want(digest, "thumb", 2))
    assert path.is_relative_to(root / "inspector" / "pictures")
    other = publish_scenes(root, another=1)
    assert pictures.there(Want(other, "thumb", 2)) == path
    unknown = publish_scenes(root, known=False)
    own = made(pictures, Want(unknown, "thumb", 2))
    assert own.is_relative_to(root / "inspector" / "sets" / unknown)
    assert own.read_bytes() == path.read_bytes()


def test_the_truth_is_transparent_where_there_is_no_class(
    pictures: Pictures, digest: str, view: LabelView, source: Source
) -> None:
    path = made(pictures, Want(digest, "truth", 0))
    assert np.array_equal(pixels(path), source.mask(view.labels.index.ids[0]).numpy()), "class ids, by a palette"
    channel = int(view.labels.index.tags[0].argmax())
    shown = np.asarray(Image.open(path).convert("RGB"))[pixels(path) == view.card.class_ids[channel]]
    assert (shown == class_look(view.card.class_ids[channel]).colour).all()
    alpha = np.asarray(Image.open(path).convert("RGBA"))[..., 3]
    assert np.array_equal(alpha == 0, pixels(path) == 0)
    os.utime(path, ns=(0, pictures.started - 1))
    assert pictures.there(Want(digest, "truth", 0)) is None, "masks may be others since the last server"


def test_iou_of_all_rows_is_computed_beside_pictures_and_sorts_them(
    pictures: Pictures, digest: str, view: LabelView
) -> None:
    want = Want(digest, "iou")
    begun = pictures.begin(want)
    assert pictures.begin(want) is begun
    assert begun.result(60) == made(pictures, want)
    assert pictures.progress(want) is None
    first = view.labels.index.pairs[0] == 0
    assert view.columns["iou"].tolist() == np.where(first, 0.0, 1.0).tolist()


def test_a_click_marks_what_is_alike_and_is_quick(
    pictures: Pictures, digest: str, view: LabelView, source: Source
) -> None:
    channel = view.labels.index.tags[1].argmax()
    mask = source.mask(view.labels.index.ids[1]).numpy() == view.card.class_ids[channel]
    y, x = np.argwhere(mask)[mask.sum() // 2]

    def click(dx: int) -> np.ndarray:
        pixel = (("x", str(x + dx)), ("y", str(y)))
        return pixels(made(pictures, Want(digest, "affinity", 1, pixel)))

    found = click(0)
    assert (found.shape, found.dtype) == (mask.shape, np.uint8)
    assert found[mask].mean() > found[~mask].mean() + 40, "what is clicked is marked before the rest"
    with within(9 * 0.3):
        for dx in range(-4, 5):
            click(dx)


def test_seeds_are_those_of_the_co_segmentation(
    pictures: Pictures, digest: str, view: LabelView, source: Source
) -> None:
    spec, index = spec_of_scenes(), view.labels.index
    channel, image_id = int(index.tags[1].nonzero()[0][0]), index.ids[1]
    words = [source.prompts[name] for name in index.classes]
    old = [source.prompts[source.classes[c - 1]] for c in spec.protocol.seen(0)] if spec.foundation.old_names else []
    noise = seed_noise([image_id], len(words), spec.foundation.cosegment.n_seeds, spec.seed)
    models = build_scorer(spec.foundation), build_grouper(spec.foundation)
    images, tags = source.image(image_id)[None].float() / 255, torch.from_numpy(index.tags[[1]])
    seen = look(images, tags, words, old, *models, spec.foundation.cosegment, noise)
    path = made(pictures, Want(digest, "seeds", 1, (("channel", str(channel)),)))
    shown = pixels(path)
    height, width = images.shape[-2:]
    assert shown.shape == (height, width, 4)
    for x, y in seen.points[0, 0].tolist():
        assert shown[int(y * height), int(x * width)].tolist() in DOT, "a seed"
    alike = torch.nn.functional.interpolate(seen.affinity[:1, :1], (height, width), mode="bilinear")[0, 0].numpy()
    undotted = ~(shown[..., :3] == shown[..., :1]).all(-1)
    order = shown[..., 3][undotted].astype(float), alike[undotted]
    assert np.corrcoef(*order)[0, 1] > 0.5, "the more alike, the less transparent"
    absent = int((~index.tags[1]).nonzero()[0][0])
    assert "not tagged" in refused(pictures, Want(digest, "seeds", 1, (("channel", str(absent)),))).reason


def test_what_a_student_sees_is_what_it_predicts_on_the_canvas(
    pictures: Pictures, root: Path, digest: str, view: LabelView, source: Source
) -> None:
    checkpoint = publish_student(root)
    path = made(pictures, Want(digest, "student", 1, (("checkpoint", checkpoint),)))
    model = Model.open(Store(root).path("checkpoints", checkpoint), torch.device("cpu"))
    image = source.image(view.labels.index.ids[1])
    assert np.array_equal(pixels(path), predict_image(model.network, model.card, image).numpy())
    assert pictures.there(Want(digest, "student", 1, (("checkpoint", checkpoint[:10]),))) == path


@pytest.mark.parametrize(
    ("want", "reason"),
    [
        (Want("", "passwd", 0), "there is no picture 'passwd'"),
        (Want("", "image", 3), "there is no image 3 in this label set of 3"),
        (Want("", "image", -1), "there is no image -1"),
        (Want("", "image", 0, (("x", "1"),)), "load the page again"),
        (Want("", "affinity", 0, (("x", "64"), ("y", "0"))), "'x' is '64'; expected is a number from 0 to 63"),
        (Want("", "affinity", 0, (("x", "0"), ("y", "-1"))), "expected is a number from 0 to 63"),
        (Want("", "affinity", 0, (("x", "0"),)), "asked for with one 'y'"),
        (Want("", "seeds", 0, (("channel", "99"),)), "expected is a number from 0 to 4"),
        (Want("", "student", 0, (("checkpoint", "../../etc"),)), "does not exist among the checkpoints"),
    ],
)
def test_what_nobody_can_want_reaches_no_file(pictures: Pictures, digest: str, want: Want, reason: str) -> None:
    assert reason in refused(pictures, Want(digest, want.kind, want.image, want.more)).reason


def test_a_set_that_is_not_there_is_said(pictures: Pictures) -> None:
    for name in ("ab" * 16, "..", "../../x"):
        assert "does not exist among the labels" in refused(pictures, Want(name, "image", 0)).reason


def test_photographs_that_are_gone_are_told_and_looked_for_again(
    pictures: Pictures, root: Path, digest: str, tmp_path: Path
) -> None:
    lost = publish_scenes(root, known=False, lost=1)
    folder = Store(root).path("labels", lost)
    data = tmp_path / "VOC"
    moved = republish_with(root, folder, data_root=str(data), spec={"benchmark": "voc-15-5", "preset": "small"})
    problem = refused(pictures, Want(moved, "image", 0))
    assert problem.kind == "data"
    assert str(data) in problem.reason


def test_weights_that_are_not_here_are_told_at_once_and_asked_for_nowhere(
    pictures: Pictures, root: Path, digest: str
) -> None:
    spec = {**BENCHMARK, "foundation": {"grouper": "dino:deit_tiny_patch16_224"}}
    other = republish_with(root, Store(root).path("labels", digest), spec=make_spec(spec).model_dump(mode="json"))
    with within(15, "what asks no hub"):
        problem = refused(pictures, Want(other, "affinity", 0, (("x", "1"), ("y", "1"))))
    assert problem.kind == "weights"
    assert "deit_tiny_patch16_224.safetensors" in problem.reason


def test_a_process_that_is_killed_is_told_and_started_again(pictures: Pictures, root: Path, digest: str) -> None:
    made(pictures, Want(digest, "truth", 1))
    before = pictures._worker.pid
    assert before is not None
    os.kill(before, signal.SIGSTOP)
    pixel = (("x", "1"), ("y", "1"))
    begun = pictures.begin(Want(digest, "affinity", 2, pixel))
    os.kill(before, signal.SIGKILL)
    told = begun.result(30)
    assert not isinstance(told, Path)
    assert (told.kind, "signal 9" in told.reason) == ("process", True)
    assert made(pictures, Want(digest, "affinity", 2, pixel)).is_file()
    assert pictures._worker.pid != before


def test_a_process_that_cannot_be_started_is_told_each_time(
    root: Path, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a picture is answered, and so is who asks after that."""

    def none_left(*_: object, **__: object) -> None:
        raise OSError("no process is left")

    opened = Pictures(Settings(root=root, device="cpu"))
    monkeypatch.setattr(subprocess, "Popen", none_left)
    for y in "45":
        told = opened.begin(Want(digest, "affinity", 1, (("x", "1"), ("y", y)))).result(5)
        assert not isinstance(told, Path)
        assert "cannot be started (no process is left)" in told.reason
    asyncio.run(opened.close())


def test_the_end_does_not_wait_for_a_picture(root: Path, digest: str) -> None:
    pictures = Pictures(Settings(root=root, device="cpu"))
    waiting = pictures.begin(Want(digest, "image", 1))  # its process loads torch for seconds
    while pictures._worker.pid is None:
        time.sleep(0.01)
    with within(1):
        pictures.end()
        asyncio.run(pictures.close())
    assert pictures._worker.pid is None
    assert waiting.result(0) == Problem("the inspector is ending; start it again", "process")


def test_nothing_is_left_half_written(root: Path) -> None:
    assert not list((root / "inspector").rglob("*.partial"))


CODE = """
import asyncio, sys
from pathlib import Path
from deployments.inspector.pictures import Pictures, Problem, Want
from wilss.settings import Settings
pictures = Pictures(Settings(root=Path(sys.argv[1]), device="cpu"))
print(asyncio.run(pictures.path(Want(sys.argv[2], "truth", 2))))
print("torch" in sys.modules)
print(pictures._worker.pid)
sys.stdout.flush()
import os
os._exit(0) if sys.argv[3] == "hard" else asyncio.run(pictures.close())
"""


def test_the_server_loads_no_torch_and_its_process_ends_with_it(root: Path, digest: str) -> None:
    words = [sys.executable, "-c", CODE, str(root), digest, "hard"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    path, torch_is_there, pid = done.stdout.splitlines()
    assert (Path(path).is_file(), torch_is_there) == (True, "False")
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    pytest.fail(f"process {pid} goes on without its server")
