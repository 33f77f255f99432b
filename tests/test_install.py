"""What the environment resolved to fits together. `make test` sets it up from nothing in a fresh clone."""

from __future__ import annotations

from importlib.metadata import requires, version
from importlib.resources import files

import pytest
from packaging.requirements import Requirement
from packaging.version import Version


def test_every_declared_range_is_met() -> None:
    for line in requires("wilss") or []:
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": "test"}):
            assert wanted.specifier.contains(version(wanted.name), prereleases=True), line


def test_prefect_and_fastapi_fit() -> None:
    assert Version("3.8.8") <= Version(version("prefect")) < Version("4")
    assert Version(version("fastapi")) < Version("0.151")  # prefect 3.8 breaks with 0.155


def test_torchvision_is_the_one_of_this_torch() -> None:
    (wanted,) = (Requirement(r) for r in requires("torchvision") or [] if Requirement(r).name == "torch")
    assert wanted.specifier.contains(Version(version("torch")).public)


def test_a_torchvision_of_another_build_can_be_imported() -> None:
    import torchvision.ops

    assert torchvision.ops.nms is not None


@pytest.mark.parametrize("package", ["wilss", "stores"])
def test_the_types_are_shipped(package: str) -> None:
    assert (files(package) / "py.typed").is_file()
