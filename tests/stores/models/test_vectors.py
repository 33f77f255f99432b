"""Vector sets on disk: small, with the name of their bases, and never on others unnoticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

from stores.artefacts import Recipe, Store
from stores.models.vectors import StoredVectors, load_bases, load_vectors, open_chain, require_vectors, save_vectors
from tests.wilss.models.cards import student_card
from tests.wilss.test_methods import SPEC, segmenter, weights
from wilss.errors import ArtefactNotFoundError, FormatError
from wilss.models.files import save_model
from wilss.nets.segmenter import Segmenter
from wilss.nets.stages import last_stages
from wilss.nets.svf import apply_svf, svf_state
from wilss.nets.vectors import weights_digest

VECTORS = {"layer4.0.conv1": torch.tensor([[1.0, 0.5]]), "layer4.0.conv2": torch.ones(2, 3)}
STORED = StoredVectors(VECTORS, "a" * 32, "b" * 32)


def publish(store: Store, model: Segmenter, name: str, vectors: StoredVectors | None = None) -> str:
    recipe = Recipe("checkpoints", {"name": name}, {})
    with store.build(recipe) as folder:
        save_model(model.state_dict(), student_card(SPEC, weights()), folder)
        if vectors:
            save_vectors(vectors, folder)
        return store.publish(recipe, folder, {}).digest


@pytest.mark.parametrize("name", ["resnet50", "resnet50s"])
def test_a_set_of_a_resnet50_is_small(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shapes(matrices: torch.Tensor, full_matrices: bool) -> tuple[torch.Tensor, ...]:
        groups, rows, columns = matrices.shape
        rank = min(rows, columns)
        return torch.zeros(groups, rows, rank), torch.zeros(groups, rank), torch.zeros(groups, rank, columns)

    monkeypatch.setattr(torch.linalg, "svd", shapes)  # numbers do not matter here, and the real ones take long
    backbone = timm.create_model(name, features_only=True)
    vectors = apply_svf(backbone, last_stages(backbone, 3))
    assert sum(vector.numel() for vector in vectors) == 12_544
    save_vectors(replace(STORED, vectors=svf_state(backbone)), tmp_path)
    assert 50_176 < (tmp_path / "svf.safetensors").stat().st_size <= 100_000


def test_vectors_come_back_with_the_name_of_their_bases(tmp_path: Path) -> None:
    assert load_vectors(tmp_path) is None
    save_vectors(STORED, tmp_path)
    found = load_vectors(tmp_path)
    assert found is not None
    assert (found.checkpoint, found.weights) == (STORED.checkpoint, STORED.weights)
    assert set(found.vectors) == set(VECTORS)
    assert all(torch.equal(found.vectors[name], value) for name, value in VECTORS.items())


def test_damaged_and_foreign_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stores.models.vectors.FORMAT", "2")
    save_vectors(STORED, tmp_path)
    monkeypatch.undo()
    with pytest.raises(FormatError, match="no vector set that this version reads"):
        load_vectors(tmp_path)
    save_vectors(replace(STORED, checkpoint="../../elsewhere"), tmp_path)
    with pytest.raises(FormatError, match=r"names its bases '../../elsewhere', which is no digest"):
        load_vectors(tmp_path)
    (tmp_path / "svf.safetensors").write_bytes(b"nonsense")
    with pytest.raises(FormatError, match=r"svf\.safetensors' is damaged"):
        load_vectors(tmp_path)


def test_a_chain_begins_where_no_vectors_are_and_then_keeps_its_bases(tmp_path: Path) -> None:
    store, base = Store(tmp_path), segmenter((2,)).eval()
    first = publish(store, base, "base")
    stored, chain = open_chain(first, base.backbone, store)
    assert chain is None
    assert (stored.vectors, stored.checkpoint) == ({}, first)
    assert stored.weights == weights_digest(base.backbone.state_dict())
    later = segmenter((2,))
    with torch.no_grad():
        later.backbone.get_submodule("layer4.0.conv1").weight.mul_(2.0)
    second = publish(store, later, "step", replace(stored, vectors=VECTORS))
    again, chain = open_chain(second, later.backbone, store)
    assert again.checkpoint == first
    assert chain is not None
    assert all(torch.equal(chain.vectors[name], value) for name, value in VECTORS.items())
    assert weights_digest(chain.bases.state_dict()) == stored.weights


def test_other_bases_and_missing_vectors_are_told(tmp_path: Path) -> None:
    store, base = Store(tmp_path), segmenter((2,)).eval()
    digest = publish(store, base, "base")
    with pytest.raises(ArtefactNotFoundError, match=r"has no vector set .* --set step.tuning=svf"):
        require_vectors(store.path("checkpoints", digest))
    with pytest.raises(ArtefactNotFoundError, match="holds no student"):
        require_vectors(tmp_path)
    with pytest.raises(ArtefactNotFoundError, match=r"checkpoint aaaaaaaaaaaa, which is not in .* with --root"):
        load_bases(STORED, store)
    with pytest.raises(FormatError, match="other weights than when its vectors were trained"):
        load_bases(replace(STORED, checkpoint=digest), store)
