"""What is answered is what ``wilss predict`` writes."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

from stores.models.predict import predict_files
from tests.deployments.serving.made import blobs, encoded
from tests.deployments.serving.test_outlines import filled
from wilss.aliases import aliases_of


@pytest.fixture(scope="module")
def written(stored: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, and what the command writes of them."""
    folder = tmp_path_factory.mktemp("written")
    for name, size in {"a": (60, 80), "b": (60, 80), "c": (75, 50), "large": (310, 205)}.items():
        blobs(*size, seed=ord(name[0])).save(folder / f"{name}.png")
    list(predict_files("champion", sorted(folder.glob("*.png")), folder / "out", stored, "cpu"))
    return folder


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("name", ["a", "c", "large"])
@pytest.mark.parametrize("how", [{"params": {"format": "png"}}, {"headers": {"accept": "image/png"}}])
def test_a_picture_is_the_file_that_the_command_writes(
    client: TestClient, written: Path, name: str, how: dict[str, Any]
) -> None:
    answer = client.post("/predict", content=(written / f"{name}.png").read_bytes(), **how)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content == (written / "out" / f"{name}.png").read_bytes()
    assert len(np.unique(pixels(answer.content))) > 1, "a picture of one class proves nothing"


def test_an_overlay_is_too(client: TestClient, written: Path) -> None:
    answer = client.post("/predict?format=overlay", content=(written / "large.png").read_bytes())
    assert answer.headers["content-type"] == "image/png"
    assert (pixels(answer.content) == pixels((written / "out" / "large-overlay.png").read_bytes())).all()


def test_json_says_the_same(client: TestClient, written: Path, stored: Path) -> None:
    answer = client.post("/predict", content=(written / "large.png").read_bytes())
    truth = pixels((written / "out" / "large.png").read_bytes())
    found = answer.json()
    assert answer.headers["x-wilss-model"] == found["model"] == aliases_of(stored)["champion"]
    assert found["alias"] == "champion"
    (image,) = found["images"]
    assert (image["width"], image["height"]) == truth.shape[::-1]
    assert image["background"] == pytest.approx((truth == 0).mean())
    assert [one["id"] for one in image["classes"]] == sorted(set(np.unique(truth).tolist()) - {0})
    for one in image["classes"]:
        mask = truth == one["id"]
        assert one["name"] == {7: "cat", 8: "dog"}[one["id"]]
        assert tuple(one["colour"]) == {7: (128, 128, 128), 8: (64, 0, 0)}[one["id"]]
        assert (one["pixels"], one["share"]) == (mask.sum(), pytest.approx(mask.mean()))
        assert (filled(one["segmentation"], mask.shape) == mask).all()
        x, y, width, height = one["box"]
        assert mask[y : y + height, x : x + width].sum() == mask.sum()
        assert mask[y].any()
        assert mask[:, x + width - 1].any()


def test_several_files_are_answered_in_their_order(client: TestClient, written: Path) -> None:
    files = [("file", (f"{name}.png", (written / f"{name}.png").read_bytes())) for name in ("c", "a", "large", "b")]
    found = client.post("/predict", files=files).json()
    assert [image["name"] for image in found["images"]] == ["c.png", "a.png", "large.png", "b.png"]
    alone = [client.post("/predict", files=[file]).json()["images"][0] for file in files]
    assert found["images"] == alone, "what comes beside an image changes nothing"


def test_a_large_file_of_a_form_is_read(client: TestClient) -> None:
    noisy = Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 1100, 3), dtype=np.uint8))
    content = encoded(noisy)
    assert len(content) > 2 << 20
    found = client.post("/predict", files={"file": ("noise.png", content)}).json()
    assert (found["images"][0]["width"], found["images"][0]["height"]) == (1100, 900)


@pytest.mark.parametrize("kind", ["", "application/octet-stream", "image/jpeg", "application/x-www-form-urlencoded"])
def test_the_bytes_say_what_it_is(client: TestClient, kind: str) -> None:
    answer = client.post("/predict", content=encoded(blobs(), "PNG"), headers={"content-type": kind} if kind else {})
    assert answer.status_code == 200


def test_metrics_count_what_was_asked(serve: Any, stored: Path) -> None:
    client = serve(stored)
    files = [("file", (f"{k}.png", encoded(blobs(seed=k)))) for k in range(3)]
    client.post("/predict", files=files)
    client.post("/predict", content=b"no image")
    client.get("/nowhere/1")
    client.get("/nowhere/2")
    lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
    assert lines['wilss_serve_requests_total{path="/predict",status="200"}'] == "1.0"
    assert lines['wilss_serve_requests_total{path="/predict",status="422"}'] == "1.0"
    assert lines['wilss_serve_requests_total{path="other",status="404"}'] == "2.0", "no label for every address"
    assert lines['wilss_serve_request_seconds_count{path="/predict"}'] == "2.0"
    assert lines["wilss_serve_images_total"] == "3.0"
    assert lines["wilss_serve_queue_images"] == lines["wilss_serve_images_in_progress"] == "0.0"
    digest = aliases_of(stored)["champion"]
    assert lines[f'wilss_serve_model_info{{alias="champion",digest="{digest}"}}'] == "1.0"
    assert "process_resident_memory_bytes" in lines


def test_the_model_tells_all_that_is_needed_to_read_answers(client: TestClient, stored: Path) -> None:
    found = client.get("/model").json()
    assert found["digest"] == aliases_of(stored)["champion"]
    assert [(one["id"], one["name"]) for one in found["classes"]] == [(0, "background"), (7, "cat"), (8, "dog")]
    assert found["classes"][1]["colour"] == [128, 128, 128]
    assert found["input"] == {"canvas": 96, "mean": [0.5] * 3, "std": [0.25] * 3}
    assert (client.head("/healthz").status_code, client.head("/healthz").content) == (200, b"")
    assert client.get("/healthz").json() == {
        "status": "ok",
        "model": found["digest"],
        "alias": "champion",
        "problem": None,
    }


def test_the_schema_is_complete(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    predict = schema["paths"]["/predict"]["post"]
    form = predict["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["file"]["items"] == {"type": "string", "format": "binary"}
    assert set(predict["responses"]["200"]["content"]) == {"application/json", "image/png"}
    assert {"400", "401", "406", "408", "413", "415", "422", "429", "503"} <= set(predict["responses"])
    assert predict["parameters"][0]["name"] == "format"
    assert set(schema["paths"]) == {"/predict", "/model", "/healthz", "/metrics"}
    named = Counter(json.dumps(schema).split('"$ref": "#/components/schemas/')[1:])
    assert {text.partition('"')[0] for text in named} <= set(schema["components"]["schemas"])


def test_threads_of_torch_stay_as_they_are(client: TestClient) -> None:
    before = torch.get_num_threads()
    client.post("/predict", content=encoded(blobs()))
    assert torch.get_num_threads() == before
