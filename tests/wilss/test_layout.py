"""Where artefacts lie: the store writes them where scripts look for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores.artefacts import Recipe, Store
from wilss.errors import ArtefactNotFoundError
from wilss.layout import artefact_folder, default_root, find_artefact, published


def publish(root: Path, number: int) -> str:
    store, recipe = Store(root), Recipe("checkpoints", {"number": number})
    with store.build(recipe) as folder:
        store.publish(recipe, folder, {})
    return recipe.digest


def test_what_the_store_publishes_is_found_by_its_first_digits(tmp_path: Path) -> None:
    digests = [publish(tmp_path, number) for number in range(20)]
    folder = artefact_folder(tmp_path, "checkpoints", digests[0])
    assert folder == tmp_path / "checkpoints" / digests[0][:2] / digests[0]
    for beginning in (digests[0], digests[0][:12], digests[0][:3]):
        assert find_artefact(tmp_path, "checkpoints", beginning) == folder
    assert [path.name for path in published(tmp_path, "checkpoints")] == sorted(digests)
    twice = next(d[0] for d in digests if sum(other[0] == d[0] for other in digests) > 1)
    with pytest.raises(ArtefactNotFoundError, match=f"'{twice}' is ambiguous among the checkpoints"):
        find_artefact(tmp_path, "checkpoints", twice)


def test_what_is_not_complete_or_not_there_is_not_found(tmp_path: Path) -> None:
    digest = publish(tmp_path, 0)
    store, recipe = Store(tmp_path), Recipe("checkpoints", {"number": 1})
    with store.build(recipe) as folder:
        (folder / "manifest.json.partial").touch()
    (artefact_folder(tmp_path, "checkpoints", "ab12")).mkdir(parents=True)
    assert [path.name for path in published(tmp_path, "checkpoints")] == [digest]
    message = f"does not exist among the checkpoints .* there: {digest[:12]}"
    for name in ("ab12", recipe.digest, "../../etc", "*", "??", ""):
        with pytest.raises(ArtefactNotFoundError, match=message):
            find_artefact(tmp_path, "checkpoints", name)
    with pytest.raises(ArtefactNotFoundError, match="there: none"):
        find_artefact(tmp_path, "labels", digest)


def test_the_root_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WILSS_ROOT", raising=False)
    assert default_root() == Path("wilss-data")
    monkeypatch.setenv("WILSS_ROOT", "/elsewhere")
    assert default_root() == Path("/elsewhere")
