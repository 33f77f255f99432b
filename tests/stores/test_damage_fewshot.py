"""The same as `tests.stores.test_damage` for what few-shot runs store: networks, frozen episodes, scores, reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.found import found_fewshot
from stores.artefacts import Store
from stores.models import svf_pages
from tasks import fewshot_report
from tests.commands import Wilss, command_line
from tests.stores.damage import DAMAGE, JSON_DAMAGE
from tests.stores.fewshot import fewshot_without_server, tiny_spec, unchanging
from tests.stores.matrix import Case, Matrix, in_passes, made, results_after
from wilss.damage import mark_of
from wilss.errors import FormatError
from wilss.layout import Kind
from wilss.models.files import load_state
from wilss.settings import Settings

NETWORKS = ("silhouettes", "stage 1", "head")
KINDS: dict[str, Kind] = {
    **dict.fromkeys(NETWORKS, "heads"),
    "episodes eval": "episodes",
    "scores eval": "evaluations",
}
ALL = [*DAMAGE, *JSON_DAMAGE]
CASES: list[Case] = [
    *[(node, "model.safetensors", how) for node in NETWORKS for how in DAMAGE],
    *[(node, "card.json", how) for node in NETWORKS for how in ALL],
    *[("episodes eval", "episodes.json", how) for how in ALL],
    *[("scores eval", "scores.json", how) for how in ALL],
    *[(node, "manifest.json", how) for node in ("stage 1", "episodes eval", "scores eval") for how in ALL],
    *[("report", "fewshot.json", how) for how in ALL],
]


@pytest.fixture(scope="module", autouse=True)
def _no_pages() -> Iterator[None]:
    """Pages are for people, and pictures take most of the time of so small a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fewshot_report, "fewshot_page", lambda *_: "page")
        patch.setattr(svf_pages, "svf_page", lambda *_: "page")
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = tmp_path_factory.mktemp("finished")
    return root, fewshot_without_server(root)


@pytest.fixture
def wilss(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Wilss:
    return command_line(capsys, monkeypatch)


def file_of(root: Path, node: str, name: str, artefacts: dict[str, str]) -> Path:
    if node == "report":
        return next((root / "fewshot").glob(f"*/{name}"))
    return Store(root).path(KINDS[node], artefacts[node]) / name


def tried(wilss: Wilss, root: Path, artefacts: dict[str, str], folder: Path) -> dict[str, str]:
    """What commands say or make, what is found without a server, and the weights that others start from."""
    head = f"heads:{artefacts['head']}"
    commands: dict[str, list[object]] = {
        "runs": ["runs"],
        "svf": ["svf", "report", head, "--count", 1, "--out", folder / "svf"],
    }
    return {
        **{name: made(wilss, root, name, command, folder) for name, command in commands.items()},
        "found": _found(root),
        **{node: _weights(Store(root).path("heads", artefacts[node])) for node in NETWORKS},
    }


def _found(root: Path) -> str:
    found = found_fewshot(tiny_spec(), Settings(root=root))
    return str(unchanging(found)) if found else "told"


def _weights(folder: Path) -> str:
    try:
        load_state(folder)
    except FormatError:
        return "told"
    return mark_of(folder / "model.safetensors").checksum


MATRIX = Matrix(
    run=fewshot_without_server,
    file_of=file_of,
    tried=tried,
    reports="fewshot",
    listed=("runs",),
    other=lambda node: tuple(other for other in NETWORKS if other != node),
)


@pytest.mark.parametrize("case", in_passes(CASES))
def test_every_damage_is_told_and_mended(
    case: Case, finished: tuple[Path, dict[str, Any]], wilss: Wilss, tmp_path: Path
) -> None:
    assert results_after(MATRIX, case, finished, wilss, tmp_path) == finished[1]
