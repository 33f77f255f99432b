"""Lists of images that a few-shot model may have seen before an incremental benchmark starts from it."""

from __future__ import annotations

import pytest

from wilss.errors import SpecError
from wilss.fewshot.leak_rule import _require_lists
from wilss.fewshot.spec import make_fewshot_spec
from wilss.protocol import benchmarks


def test_backbones_of_unfiltered_lists_are_refused_where_later_classes_are_hidden() -> None:
    given = {"benchmark": "coco-20i", "fold": 0, "preset": "tiny"}
    unfiltered = make_fewshot_spec({**given, "lists": "unfiltered"})
    hiding, showing = benchmarks()["coco-to-voc"], benchmarks()["voc-15-5"]
    with pytest.raises(SpecError, match=r"coco-to-voc hides images with later classes"):
        _require_lists(unfiltered, "head", "overlap", hiding)
    _require_lists(unfiltered, "head", "overlap", showing)
    _require_lists(make_fewshot_spec(given), "head", "overlap", hiding)


@pytest.mark.parametrize("lists", ["unfiltered", "all"])
def test_so_are_those_whose_stage_1_saw_such_lists_wherever_they_began(lists: str) -> None:
    """BAM's loss goes through its stage 1 into the backbone, also where that began without it."""
    given = {"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", "start": "pretrained", "stage1": {"lists": lists}}
    protocol = benchmarks()["scenes-15-5"]
    with pytest.raises(
        SpecError, match=r"disjoint scenario of scenes-15-5 hides .* the stage 1 that it was trained with"
    ):
        _require_lists(make_fewshot_spec({**given, "head": "bam"}), "head", "disjoint", protocol)
    _require_lists(make_fewshot_spec({**given, "head": "aspp"}), "head", "disjoint", protocol)
    filtered = {**given, "head": "bam", "stage1": {"lists": "filtered"}}
    _require_lists(make_fewshot_spec(filtered), "head", "disjoint", protocol)
