"""The example of a method of one's own keeps the contract, and is compared beside the others as it stands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wilss.learn.methods import METHODS, build_method
from wilss.learn.methods.contract import Method, StepContext
from wilss.register import load_registrations
from wilss.testing import MethodContract

FILE = Path("examples/own_method.py")


@pytest.mark.usefixtures("registrations")
class TestKeepOld(MethodContract):
    def make(self, context: StepContext) -> Method:
        load_registrations(FILE)
        own = METHODS["keep-old"].settings
        assert own is not None
        return build_method("keep-old", replace(context, settings=own()))


@pytest.mark.slow
@pytest.mark.usefixtures("registrations", "prefect_backend")
def test_it_is_compared_beside_the_others(wilss: Any, tmp_path: Path) -> None:
    options = ["--preset", "tiny", "--seeds", 0, "--root", tmp_path, "--set", "keep-old.weight=0.5"]
    code, out, err = wilss("compare", "scenes-15-5", "--methods", "finetune", "keep-old", "--import", FILE, *options)
    assert code == 0, err
    assert "keep-old" in out
    assert "keep-old: weight=0.5" in err
    reports = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/report.json")]
    assert sorted(report["method"] for report in reports) == ["finetune", "keep-old"]
    assert len({report["artefacts"]["labels 1"] for report in reports}) == 1, "they learn from the same label set"
    assert len({report["artefacts"]["checkpoint 1"] for report in reports}) == 2
    assert METHODS["keep-old"].source, "the file's bytes are in its digests"
