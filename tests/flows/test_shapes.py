"""The network over random silhouettes: trained anew by a command, shipped, and taken for its own recipe only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from stores.artefacts import Store
from stores.models import learn_fewshot
from stores.plans.fewshot_run import FewShotRun
from stores.plans.session import Session
from tasks import fewshot_train
from wilss.data.scenes.source import ScenesSource
from wilss.errors import FormatError
from wilss.fewshot import shipped
from wilss.fewshot.build import build_shapes
from wilss.fewshot.episodes.batches import EpisodeImages
from wilss.fewshot.spec import FewShotSpec, make_fewshot_spec
from wilss.models.card import FewShotCard, load_card
from wilss.models.files import load_state
from wilss.nets.pretrained import find_weights
from wilss.settings import Settings

pytestmark = pytest.mark.usefixtures("prefect_backend")
TINY = {"silhouettes": 8, "images": 64, "world": {"image_size": 65}, "psp": {"channels": 16}, "train": {"epochs": 1}}
OPTIONS = ["silhouettes=8", "images=64", "world.image_size=65", "psp.channels=16", "train.epochs=1"]


def spec_of(**shapes: Any) -> FewShotSpec:
    return make_fewshot_spec({"benchmark": "scenes-5i", "fold": 2, "head": "aspp", "shapes": shapes})


def opened(spec: FewShotSpec, root: Path) -> FewShotRun:
    return FewShotRun(spec, Session(Settings(root=root)))


def recipe_facts(spec: FewShotSpec, root: Path) -> dict[str, Any]:
    return opened(spec, root).plan["silhouettes"].recipe.facts


def test_a_network_is_trained_by_command_and_then_taken_instead_of_training(
    wilss,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code, out, err = wilss(
        *("pretrain", "shapes", "--set", *OPTIONS, "--root", tmp_path / "a", "--out", tmp_path / "weights")
    )
    assert code == 0, err
    assert out.splitlines()[0] == str(tmp_path / "weights" / shipped.SHAPES_FILE)
    again = ("pretrain", "shapes", "--root", tmp_path / "empty", "--out", tmp_path / "weights", "--set", *OPTIONS)
    assert wilss(*again)[:2] == (0, out)
    assert not Store(tmp_path / "empty").all("heads"), "what is there is not trained again"
    code, _, err = wilss(*again, "seed=1")
    assert code == 2
    assert "was trained with other settings; choose another folder with --out" in err
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / shipped.SHAPES_FILE).write_bytes(b"nonsense")
    code, _, err = wilss("pretrain", "shapes", "--root", tmp_path / "empty", "--out", tmp_path / "damaged")
    assert code == 2
    assert "delete it, or choose another folder" in err
    trained = Store(tmp_path / "a").all("heads")[0]
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path / "weights")
    spec = spec_of(**TINY)
    assert recipe_facts(spec, tmp_path)["shipped"]
    assert "shipped" not in recipe_facts(spec_of(**TINY, seed=1), tmp_path)
    assert "shipped" not in recipe_facts(spec_of(**TINY, weights="train"), tmp_path)
    monkeypatch.delattr(learn_fewshot, "train_stage1")
    found = fewshot_train.shapes_net.fn(opened(spec, tmp_path / "b"))
    folders = [Store(tmp_path / "b").path("heads", found.digest), Store(tmp_path / "a").path("heads", trained.digest)]
    state, before = map(load_state, folders)
    taken, made = (load_card(folder, FewShotCard) for folder in folders)
    assert taken == made.model_copy(update={"architecture": taken.architecture, "licence": "Apache-2.0"})
    assert made.history
    assert found.counts == trained.counts
    assert state.keys() <= before.keys()
    assert all(torch.equal(value, before[name].half().float()) for name, value in state.items())
    build_shapes(spec, find_weights("resnet_scenes", "auto", None)).load_state_dict(state)


def test_mistakes_are_named(wilss, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "file").touch()
    for options, words in (
        (["--set", "silhouttes=8"], "silhouettes"),
        (["--set", "share=0.3"], "give shapes.share to wilss few-shot train"),
        (["--out", tmp_path / "file" / "folder"], "cannot be written to (Not a directory); choose another"),
    ):
        code, _, err = wilss("pretrain", "shapes", "--root", tmp_path, *options)
        assert code == 2
        assert words in err
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path)
    with pytest.raises(FormatError, match=r"install wilss anew, or train one with --set shapes.weights=train"):
        shipped.shipped_shapes("any")
    (tmp_path / shipped.SHAPES_FILE).write_bytes(b"nonsense")
    with pytest.raises(FormatError, match="cannot be read as a network over silhouettes"):
        shipped.shipped_shapes("any")


def test_the_shipped_network_has_the_recipe_of_the_preset(tmp_path: Path) -> None:
    assert "shipped" in recipe_facts(spec_of(), tmp_path), (
        "settings, scenes or version of the pretraining have changed: make the file anew with wilss pretrain shapes"
    )


def test_the_shipped_network_knows_its_silhouettes_in_scenes_that_it_has_not_seen() -> None:
    spec = spec_of()
    shapes = spec.shapes
    assert shapes is not None
    weights = find_weights("resnet_scenes", "auto", None)
    net = build_shapes(spec, weights)
    net.load_state_dict(shipped.read_shapes(shipped.SHIPPED / shipped.SHAPES_FILE).state)
    source = ScenesSource(shapes.world, 1, 48, (shapes.silhouettes, shapes.seed))
    ids = source.ids("eval")
    images, _, labels = EpisodeImages(source, ids, shapes.world.image_size).read(ids)
    with torch.inference_mode():
        logits = net.eval()(images.float() / 255)
    predicted = F.interpolate(logits, labels.shape[1:], mode="bilinear", align_corners=True).argmax(1)
    right = predicted == labels
    assert float(right[labels > 0].float().mean()) > 0.3
    assert float(right[labels == 0].float().mean()) > 0.98
