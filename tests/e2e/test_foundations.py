"""The bars of the small foundation models on 500 held-out scenes, as their cards state them."""

from __future__ import annotations

import pytest

from wilss.foundation.quality import image_level_recall, label_quality
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.spec import make_spec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_small_models_keep_the_numbers_of_their_cards() -> None:
    spec = make_spec({"benchmark": "scenes-15-5"}).foundation
    quality = label_quality(build_scorer(spec), build_grouper(spec), spec.cosegment)
    assert quality.initial >= 0.48
    assert quality.refined >= 0.74
    assert quality.refined >= quality.initial + 0.08
    scorer = build_scorer(FoundationSpec())
    assert image_level_recall(scorer) >= 0.90  # type: ignore[arg-type]
