"""An alias that moves is followed; what cannot be loaded does not take the place of what answers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from starlette.testclient import TestClient

import deployments.serving.models
from deployments.serving.models import Loaded, Models, digest_of_files
from stores.artefacts import Store
from stores.models.export import export_model
from stores.models.graphs import Wanted
from stores.registry import promote, set_alias
from tests.deployments.serving import made
from tests.deployments.serving.conftest import ADA, Asked
from tests.pace import wait_for
from wilss.aliases import aliases_of
from wilss.errors import ArtefactNotFoundError, DamagedArtefactError

IMAGE = made.encoded(made.blobs())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root of one's own, whose champion knows cats and dogs."""
    promote(tmp_path, made.publish(tmp_path, 0), expected=None, **ADA)
    return tmp_path


def move(root: Path, digest: str) -> None:
    promote(root, digest, expected=aliases_of(root).get("champion"), **ADA)


def health(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/healthz").json()
    return found


def test_a_moved_alias_is_another_model_with_other_classes(root: Path, serve: Asked) -> None:
    client, first = serve(root), aliases_of(root)["champion"]
    assert client.post("/predict", content=IMAGE).headers["x-wilss-model"] == first
    second = made.publish(root, 5, ("hamster", "owl", "eel"))
    move(root, second)
    wait_for(lambda: client.get("/model").json()["digest"] == second, 30, "the new model")
    model = client.get("/model")
    assert [one["name"] for one in model.json()["classes"]] == ["background", "hamster", "owl", "eel"]
    assert model.headers["x-wilss-model"] == second
    answer = client.post("/predict", content=IMAGE)
    assert answer.headers["x-wilss-model"] == answer.json()["model"] == second
    assert {one["name"] for one in answer.json()["images"][0]["classes"]} <= {"hamster", "owl", "eel"}
    assert "hamster" in client.get("/").text
    text = client.get("/metrics").text
    assert f'wilss_serve_model_info{{alias="champion",digest="{second}"}} 1.0' in text
    assert first not in text
    assert 'wilss_serve_model_loads_total{outcome="loaded"} 2.0' in text


def damage(root: Path) -> str:
    """A student whose weights are not what was stored."""
    digest = made.publish(root, 8)
    path = Store(root).path("checkpoints", digest) / "model.safetensors"
    path.write_bytes(bytes(path.stat().st_size))
    return digest


@pytest.mark.parametrize(
    ("next_one", "said"),
    [
        (damage, r"model\.safetensors' is damaged"),
        (lambda root: made.publish(root, 9, broken=True), "no finite number"),
    ],
    ids=["damaged", "computes no numbers"],
)
def test_what_cannot_be_used_does_not_answer(
    root: Path, serve: Asked, next_one: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client, first = serve(root), aliases_of(root)["champion"]
    before = client.post("/predict", content=IMAGE).json()
    bad = next_one(root)
    promote(root, bad, expected=first, **ADA)
    wait_for(lambda: health(client)["status"] == "behind", 30, "the refusal")
    found = health(client)
    assert found["model"] == first
    assert re.search(said, found["problem"])
    assert client.post("/predict", content=IMAGE).json() == before
    assert "wilss_serve_behind 1.0" in client.get("/metrics").text
    assert found["problem"][:40] in client.get("/").text.replace("&#39;", "'")
    log = capsys.readouterr().err
    assert f"{first[:12]} goes on answering" in log
    good = made.publish(root, 5)
    promote(root, good, expected=bad, **ADA)
    wait_for(lambda: health(client)["model"] == good, 30, "the next one")
    assert health(client)["status"] == "ok"
    assert f"'champion' is {good[:12]} from now on" in capsys.readouterr().err


def test_it_is_tried_again_when_it_was_mended(root: Path, serve: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments.serving.models, "RETRY", 0.2)
    client = serve(root)
    digest = made.publish(root, 8)
    path = Store(root).path("checkpoints", digest) / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(bytes(len(whole)))
    move(root, digest)
    wait_for(lambda: health(client)["status"] == "behind", 30, "the refusal")
    path.write_bytes(whole)
    wait_for(lambda: health(client)["model"] == digest, 30, "another try")
    assert health(client)["problem"] is None


def test_an_alias_that_is_taken_away_leaves_the_model(root: Path, serve: Asked) -> None:
    first = aliases_of(root)["champion"]
    set_alias(root, "mine", first, expected=None, **ADA)
    client = serve(root, "mine")
    set_alias(root, "mine", None, expected=first, **ADA)
    wait_for(lambda: health(client)["status"] == "behind", 30, "the refusal")
    assert "there is no alias 'mine'" in health(client)["problem"]
    assert client.post("/predict", content=IMAGE).status_code == 200
    set_alias(root, "mine", first, expected=None, **ADA)
    wait_for(lambda: health(client)["status"] == "ok", 30, "the alias")


def test_a_log_of_moves_that_is_damaged_is_said_until_it_is_mended(root: Path, serve: Asked) -> None:
    client, log = serve(root), root / "aliases" / "moves.jsonl"
    whole = log.read_bytes()
    log.write_bytes(whole.replace(b"ada", b"eve") + b"more\n")
    wait_for(lambda: health(client)["status"] == "behind", 30, "the refusal")
    assert "moves.jsonl' is damaged" in health(client)["problem"]
    log.write_bytes(whole)
    wait_for(lambda: health(client)["status"] == "ok", 30, "the log")


@pytest.mark.parametrize("how", ["digest", "folder", "exported"])
def test_what_is_no_alias_is_not_followed(root: Path, tmp_path: Path, how: str) -> None:
    digest = aliases_of(root)["champion"]
    folder = Store(root).path("checkpoints", digest)
    if how == "exported":
        folder = export_model(str(folder), root, tmp_path / "exported", Wanted()).folder
    models = Models(digest[:10] if how == "digest" else str(folder), root, "cpu", lambda _: None)
    assert not models.is_followed
    assert models.current.alias is None
    assert len(models.current.digest) == 32
    assert models.current.digest == digest, "an exported folder says which model it is"


def test_the_digest_of_a_folder_follows_its_files(root: Path, tmp_path: Path) -> None:
    export_model("champion", root, tmp_path / "a", Wanted())
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert digest_of_files(tmp_path / "a") == digest_of_files(tmp_path / "b")
    card = tmp_path / "b" / "config.json"
    card.write_text(card.read_text().replace("cat", "cow"))
    assert digest_of_files(tmp_path / "a") != digest_of_files(tmp_path / "b")


def test_a_first_model_that_cannot_be_used_is_an_error(root: Path) -> None:
    with pytest.raises(DamagedArtefactError, match=r"model\.safetensors"):
        Models(damage(root), root, "cpu", lambda _: None)
    with pytest.raises(ArtefactNotFoundError, match="no model is called 'champoin'"):
        Models("champoin", root, "cpu", lambda _: None)
    with pytest.raises(DamagedArtefactError, match="no finite number"):
        Loaded.of(Store(root).path("checkpoints", made.publish(root, 9, broken=True)), torch.device("cpu"))
