"""What the environment resolved to fits together, and the wheel works in another one, away from the code.

`make test` sets the environment up from nothing in a fresh clone.
"""

from __future__ import annotations

import sys
from importlib.metadata import requires, version
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.built import Built
from tests.empty_environment import Installed, environment, install, pip

LABEL = """
import numpy, wilss
image = numpy.full((64, 64, 3), 128, numpy.uint8)
print(*wilss.label([image], [["star"]], classes=["star"]).label_map(0).shape)
"""
"""Takes both foundation models out of the wheel."""


def test_every_declared_range_is_met() -> None:
    for line in requires("wilss") or []:
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": "test"}):
            assert wanted.specifier.contains(version(wanted.name), prereleases=True), line


def test_prefect_and_fastapi_fit() -> None:
    assert Version("3.9.1") <= Version(version("prefect")) < Version("4")
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


@pytest.mark.slow
def test_the_wheel_works_from_an_empty_folder(built: Built, tmp_path: Path) -> None:
    """In an environment of its own that borrows what wilss needs from this one, and nothing of wilss."""
    run = environment(tmp_path)
    install(built.wheel, tmp_path, "--no-deps", "--no-index")
    site = run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    borrowed = dict.fromkeys(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))
    (Path(site) / "borrowed.pth").write_text("\n".join(borrowed))
    require_all_works(run, Path(site))
    assert not list((tmp_path / "empty").iterdir()), "looking writes nothing"


@pytest.mark.slow
@pytest.mark.timeout(1300)
def test_the_wheel_brings_all_that_it_needs(built: Built, tmp_path: Path) -> None:
    """As somebody installs it who has nothing: pip, an empty environment, and what the ranges resolve to."""
    run = environment(tmp_path)
    install(built.wheel, tmp_path)
    site = Path(run("python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    require_all_works(run, site)
    assert "No broken requirements" in pip(tmp_path, "check")
    assert run("python", "-c", LABEL).split() == ["64", "64"]


def require_all_works(run: Installed, site: Path) -> None:
    where = run("python", "-c", "import wilss, deployments; print(wilss.__file__, deployments.__file__)")
    assert all(Path(path).is_relative_to(site) for path in where.split()), where
    assert run("wilss", "--version").strip() == version("wilss")
    assert "--device" in run("wilss", "demo", "--help")
    assert "no models yet" in run("wilss", "models", "list")
    assert "clip:scenes" in run("wilss", "foundations", "list")
