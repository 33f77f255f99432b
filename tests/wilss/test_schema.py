"""Settings in words."""

from __future__ import annotations

from wilss.fewshot.spec import make_fewshot_spec
from wilss.section import in_words, lines_of
from wilss.spec import make_spec
from wilss.words import nested


def test_settings_are_said_as_they_are_given() -> None:
    content = {"epochs": 3, "memory": {"side": 64, "whole": True}, "crop": None, "rates": [1, 2], "name": "a b"}
    assert in_words(content) == "epochs=3 memory.side=64 memory.whole=true crop=null rates=[1, 2] name=a b"
    assert nested(["memory.whole=true", "crop=null", "rates=[1, 2]"])["rates"] == [1, 2]


def test_every_part_that_a_run_reads_has_a_line() -> None:
    spec = make_spec({"benchmark": "scenes-15-5", "method": "wilson", "step": {"epochs": 5}})
    lines = {line.partition(":")[0]: line for line in lines_of(spec, spec.idle)[1:]}
    assert set(lines) == {"data", "data.world", "student", "augment", "base", "step", "wilson"}
    assert "epochs=5" in lines["step"]
    assert "channels=96" in lines["wilson"]
    first = lines_of(spec, spec.idle)[0]
    assert first.startswith("benchmark=scenes-15-5 ")
    assert "preset=demo" in first
    everything = {line.partition(":")[0] for line in lines_of(make_spec({"benchmark": "scenes-15-5"}))}
    assert {"fmwiss", "fmwiss.memory", "foundation", "wilson"} <= everything


def test_of_few_shot_models_only_what_the_head_reads() -> None:
    given = {"benchmark": "scenes-5i", "fold": 0}
    assert {"stage1", "psp", "bam", "cwt"} <= make_fewshot_spec({**given, "head": "aspp"}).idle
    assert not {"stage1", "psp", "cwt", "train"} & make_fewshot_spec({**given, "head": "cwt"}).idle
    assert "train" in make_fewshot_spec({**given, "head": "prior"}).idle
