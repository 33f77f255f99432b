"""Few-shot heads on pictures of one's own: heads opened by name, masks as people have them, results as files."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stores.models.fewshot import load_model
from stores.models.fewshot_open import open_head
from stores.plans.fewshot_run import FewShotRun
from stores.plans.session import Session
from tasks.fewshot_train import fewshot_head, shapes_net, stage1_net
from tests.commands import Wilss, command_line
from wilss.errors import ArtefactNotFoundError, DataError, DataNotFoundError, SpecError
from wilss.fewshot.episodes.batches import evaluation_batch
from wilss.fewshot.episodes.draw import Episode
from wilss.fewshot.own import FewShotSegmenter
from wilss.fewshot.predict import predict_episodes
from wilss.fewshot.spec import make_fewshot_spec
from wilss.settings import Settings

BASE: dict[str, Any] = {"benchmark": "scenes-5i", "fold": 3, "preset": "tiny"}
SVF = {**BASE, "head": "bam", "train": {"tuning": "svf"}, "shapes": {"weights": "train"}}
FROZEN = {**BASE, "head": "aspp", "shapes": None, "start": "pretrained"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("heads")


def opened(root: Path, content: dict[str, Any]) -> FewShotRun:
    return FewShotRun(make_fewshot_spec(content), Session(Settings(root=root), lambda _: None))


@pytest.fixture(scope="module")
def svf(root: Path) -> str:
    run = opened(root, SVF)
    shapes = shapes_net.fn(run)
    stage1 = stage1_net.fn(run, shapes)
    return fewshot_head.fn(run, shapes, stage1).digest


@pytest.fixture(scope="module")
def frozen(root: Path) -> str:
    return fewshot_head.fn(opened(root, FROZEN), None, None).digest


@pytest.fixture
def wilss(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Wilss:
    return command_line(capsys, monkeypatch)


@pytest.fixture
def pictures(root: Path, tmp_path: Path) -> Path:
    """Two images of the world with the masks of one class, and two to look into."""
    run = opened(root, FROZEN)
    class_id = run.fold.novel[0]
    ids = [i for i in run.masked_ids("eval") if bool((run.test.mask(i) == class_id).sum() > 200)][:4]
    for name, image_id in zip(("one", "two", "q1", "q2"), ids, strict=True):
        Image.fromarray(run.test.image(image_id).permute(1, 2, 0).numpy()).save(tmp_path / f"{name}.png")
        mask = (run.test.mask(image_id) == class_id).numpy()
        Image.fromarray(mask.astype(np.uint8)).save(tmp_path / f"{name}-mask.png")
    (tmp_path / "ids").write_text("\n".join([str(class_id), *ids]))
    return tmp_path


def supports(folder: Path, *names: str) -> list[tuple[Path, Path]]:
    return [(folder / f"{name}.png", folder / f"{name}-mask.png") for name in names or ("one",)]


@pytest.mark.parametrize("kind", ["svf", "frozen"])
def test_a_head_opened_by_name_finds_what_the_run_finds(
    root: Path, svf: str, frozen: str, pictures: Path, kind: str
) -> None:
    digest, content = (svf, SVF) if kind == "svf" else (frozen, FROZEN)
    run = opened(root, content)
    class_id, *ids = (pictures / "ids").read_text().split()
    episode = Episode(ids[2], int(class_id), (ids[0],))
    network = load_model(run, run.store.get("heads", digest).ref)
    (wanted,) = predict_episodes(network, run.spec, run.test, [episode], ())
    places = [digest[:12], f"heads:{digest}", str(run.store.path("heads", digest))]
    for name in places:
        head = open_head(name, root if "/" not in name else pictures, "cpu")
        found = head.predict(supports(pictures), pictures / "q1.png")
        assert isinstance(found, torch.Tensor)
        assert (found.dtype, found.shape) == (torch.bool, wanted.truth.shape)
        assert torch.equal(found, wanted.found)
    batch = evaluation_batch(run.test, [episode], run.spec.size, run.spec.resolution == "legacy", run.device)
    with torch.inference_mode():
        logits = network.predict(batch)[0]
    assert float((logits[1] - logits[0]).std()) > 0, "the head says something"


def test_one_a_list_and_arrays_come_back_as_they_were_given(root: Path, frozen: str, pictures: Path) -> None:
    head = open_head(frozen, root, "cpu")
    both = head.predict(supports(pictures), [pictures / "q1.png", pictures / "q2.png"])
    assert isinstance(both, list)
    image, mask = np.asarray(Image.open(pictures / "one.png")), np.asarray(Image.open(pictures / "one-mask.png"))
    for values in (mask, mask > 0, torch.from_numpy(mask.astype(np.int64) * 300)):
        found = head.predict([(image, values)], np.asarray(Image.open(pictures / "q1.png")))
        assert isinstance(found, torch.Tensor)
        assert torch.equal(found, both[0])


def test_more_supports_than_in_training_are_taken_by_heads_that_average(
    root: Path, svf: str, frozen: str, pictures: Path
) -> None:
    two = supports(pictures, "one", "two")
    head = open_head(frozen, root, "cpu")
    assert head.only_shots is None
    found = head.predict(two, pictures / "q1.png")
    assert isinstance(found, torch.Tensor)
    bam = open_head(svf, root, "cpu")
    assert bam.only_shots == 1
    with pytest.raises(SpecError, match=r"bam\) was made for 1 support\(s\), and 2 are given; give 1, or train"):
        bam.predict(two, pictures / "q1.png")
    for count in (0, 21):
        with pytest.raises(SpecError, match=f"{count} supports are given; a head takes 1 to 20"):
            head.predict(two[:1] * count, pictures / "q1.png")


def same(head: FewShotSegmenter, folder: Path, object_id: int | None = None) -> torch.Tensor:
    found = head.predict([(folder / "one.png", folder / "m.png")], folder / "q1.png", object_id)
    assert isinstance(found, torch.Tensor)
    return found


def test_masks_mean_the_same_however_they_are_written(root: Path, frozen: str, pictures: Path) -> None:
    head, mask = open_head(frozen, root, "cpu"), np.asarray(Image.open(pictures / "one-mask.png"))
    wanted = head.predict(supports(pictures), pictures / "q1.png")
    others = mask.astype(np.int32) * 700
    others[:4] = 12
    colours = np.stack([mask * 9, mask * 0, mask * 200], -1)
    ways: list[tuple[Any, int | None]] = [
        (mask * 255, None),
        (mask * 7, None),
        (mask > 0, None),
        (others.astype(np.uint16), 700),
        (np.where(mask > 0, 3, 9).astype(np.uint8), 3),
        (colours.astype(np.uint8), None),
    ]
    for values, object_id in ways:
        Image.fromarray(values).save(pictures / "m.png")
        wish = wanted
        if object_id == 700:
            wish = head.predict([(pictures / "one.png", others == 700)], pictures / "q1.png")
        assert torch.equal(same(head, pictures, object_id), wish)  # type: ignore[arg-type]
    palette = Image.fromarray(mask, mode="P")
    palette.putpalette([0, 0, 0, 90, 90, 90])
    palette.save(pictures / "m.png")
    assert torch.equal(same(head, pictures), wanted)  # type: ignore[arg-type]


def test_a_turned_photograph_takes_its_mask_either_way(root: Path, frozen: str, pictures: Path) -> None:
    head = open_head(frozen, root, "cpu")
    upright = Image.open(pictures / "one.png").crop((0, 0, 60, 40))
    mask = Image.open(pictures / "one-mask.png").crop((0, 0, 60, 40)).point(lambda v: int(v > 0))
    mask.paste(1, (5, 5, 25, 20))
    stored, raw = (one.transpose(Image.Transpose.ROTATE_90) for one in (upright, mask))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored.save(pictures / "turned.png", exif=exif)
    upright.save(pictures / "upright.png")
    mask.save(pictures / "up.png")
    raw.save(pictures / "raw.png")
    given = [("upright.png", "up.png"), ("turned.png", "up.png"), ("turned.png", "raw.png")]
    known = [head.supports([(pictures / a, pictures / b)])[0] for a, b in given]
    assert all(torch.equal(one.image, known[0].image) and torch.equal(one.mask, known[0].mask) for one in known)


def test_void_of_voc_is_left_out_and_not_the_object(root: Path, frozen: str, pictures: Path) -> None:
    values = np.asarray(Image.open(pictures / "one-mask.png")).copy()
    values[:3] = 255
    Image.fromarray(values).save(pictures / "m.png")
    (known,) = open_head(frozen, root, "cpu").supports([(pictures / "one.png", pictures / "m.png")])
    assert torch.equal(known.mask, torch.from_numpy(values))


def test_masks_that_cannot_be_are_told_in_one_sentence(root: Path, frozen: str, pictures: Path) -> None:
    head, image = open_head(frozen, root, "cpu"), pictures / "one.png"
    width, height = Image.open(image).size
    empty, small, tiny = (pictures / name for name in ("empty.png", "small.png", "tiny.png"))
    Image.new("L", (width, height)).save(empty)
    Image.new("L", (width - 1, height), 1).save(small)
    Image.open(pictures / "one-mask.png").convert("L").save(pictures / "mask.jpg")
    wide = Image.new("L", (4000, 1000))
    wide.convert("RGB").save(pictures / "wide.png")
    wide.putpixel((5, 5), 1)
    wide.save(tiny)
    cases: list[tuple[Path, Path, int | None, type[Exception], str]] = [
        (image, empty, None, DataError, r"empty\.png' is empty: it holds 0; name a mask that shows the object"),
        (image, small, None, DataError, "but its mask is .* they must have the same size"),
        (image, pictures / "one-mask.png", 5, DataError, "has no pixel of object 5: it holds 0, 1;"),
        (image, pictures / "mask.jpg", None, DataError, "is a JPEG, which does not keep"),
        (image, pictures / "none.png", None, DataNotFoundError, r"none\.png' does not exist"),
        (pictures / "wide.png", tiny, None, DataError, "has 1 pixels, and none is left where the image is shrunk to"),
        (image, pictures / "one.png", 3, DataError, "holds colours, which are no ids"),
    ]
    for photo, mask, object_id, kind, told in cases:
        with pytest.raises(kind, match=told) as caught:
            head.predict([(photo, mask)], pictures / "q1.png", object_id)
        assert "\n" not in str(caught.value)


def test_other_artefacts_and_lost_parents_are_told(root: Path, svf: str, tmp_path: Path) -> None:
    store = opened(root, SVF).store
    stage1 = store.get("heads", svf).parents["stage1"]
    with pytest.raises(ArtefactNotFoundError, match="is a network of 'stage 1', no head"):
        open_head(stage1, root, "cpu")
    with pytest.raises(ArtefactNotFoundError, match="does not exist among the heads"):
        open_head("abcdef", root, "cpu")
    shutil.copytree(store.path("heads", svf), tmp_path / "alone")
    with pytest.raises(ArtefactNotFoundError, match="is not in"):
        open_head(str(tmp_path / "alone"), tmp_path, "cpu")
    assert open_head(str(tmp_path / "alone"), root, "cpu").spec.head == "bam"


def test_the_command_writes_masks_overlays_and_a_table(wilss: Wilss, root: Path, svf: str, pictures: Path) -> None:
    queries, out = pictures / "in", pictures / "out"
    (queries / "deeper").mkdir(parents=True)
    shutil.copy(pictures / "q1.png", queries / "a.png")
    shutil.copy(pictures / "q2.png", queries / "deeper" / "a.png")
    (queries / "broken.png").write_bytes(b"no image")
    common = ("few-shot", "predict", svf[:12], "--root", root, "--device", "cpu")
    pair = ("--support", pictures / "one.png", pictures / "one-mask.png")
    code, printed, err = wilss(*common, *pair, "--query", queries, "-o", out)
    assert code == 3, err
    assert err.splitlines()[-1].startswith("wilss: 1 of 3 images cannot be decoded")
    assert printed.split() == [str(out / "a.png"), str(out / "deeper" / "a.png")]
    wanted = open_head(svf, root, "cpu").predict(supports(pictures), [pictures / "q1.png", pictures / "q2.png"])
    with (out / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["result"] for row in rows] == ["a.png", "deeper/a.png"]
    for row, mask in zip(rows, wanted, strict=True):
        assert np.array_equal(np.asarray(Image.open(out / row["result"])), mask.numpy().astype(np.uint8))
        assert float(row["object"]) == pytest.approx(100 * float(mask.float().mean()), abs=1e-3)
        overlay = (out / row["result"]).with_name("a-overlay.png")
        assert Image.open(overlay).size == (int(row["width"]), int(row["height"]))
    before = {path: path.read_bytes() for path in out.rglob("*.png")}
    code, _, err = wilss(*common, *pair, "--query", queries / "a.png", "-o", out)
    assert (code, "add --replace" in err) == (2, True)
    assert {path: path.read_bytes() for path in out.rglob("*.png")} == before
    for arguments, told in (
        (("--support", pictures / "one.png", "--query", queries / "a.png"), "give an image and its mask"),
        ((*pair, *pair[1:], "--query", queries / "a.png"), "was made for 1 support(s), and 2 are given"),
        ((*pair, "--query", pictures / "q1.png", "--object", 9), "has no pixel of object 9"),
        ((*pair, "--query", pictures / "lost.png"), "does not exist"),
    ):
        code, _, err = wilss(*common, *arguments, "-o", pictures / "other")
        assert (code, told in err) == (2, True), err
    assert not (pictures / "other").exists()
