"""A user's own methods, heads, scorers, groupers and data families: registered, checked, known by their file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from wilss import members, register
from wilss.data.families import FAMILIES, Family, open_source
from wilss.data.source import Source
from wilss.data.spec import DataSpec
from wilss.digest import digest_of
from wilss.errors import SpecError
from wilss.fewshot.build import build_model
from wilss.fewshot.heads import HEADS
from wilss.fewshot.heads.baselines import UntrainedHead, prior_score
from wilss.fewshot.heads.contract import Head
from wilss.fewshot.spec import FewShotSpec, make_fewshot_spec
from wilss.foundation.contracts import Grouper, Scorer
from wilss.foundation.kinds import GROUPERS, SCORERS
from wilss.foundation.spec import FoundationSpec
from wilss.foundation.zoo import build_grouper, build_scorer
from wilss.learn.methods import build_method
from wilss.learn.methods.contract import Method
from wilss.learn.methods.finetune import Finetune
from wilss.learn.spec import MemorySpec, MethodSettings
from wilss.nets.pretrained import find_weights
from wilss.register import (
    register_family,
    register_grouper,
    register_head,
    register_method,
    register_scorer,
)
from wilss.section import Section, lines_of
from wilss.settings import Settings
from wilss.spec import RunSpec, make_spec
from wilss.words import nested

pytestmark = pytest.mark.usefixtures("registrations")

TINY = {"benchmark": "scenes-15-5", "preset": "tiny"}


class OwnSettings(MethodSettings):
    """Settings with a bank and a warm-up."""

    weight: float = 1.0
    rates: tuple[int, ...] = (1, 2)
    warmup_epochs: int = 0
    memory: MemorySpec = MemorySpec()

    @property
    def bank(self) -> MemorySpec:
        return self.memory

    @property
    def warmup(self) -> int:
        return self.warmup_epochs


class OwnHead(UntrainedHead):
    """A head that keeps the contract, and says in its losses that it does."""

    def __init__(self, spec: FewShotSpec, channels: Any) -> None:
        super().__init__(prior_score)
        self.settings = spec.head_settings

    def losses(self, output: Any, batch: Any) -> dict[str, torch.Tensor]:
        return {"loss": torch.zeros(())}


class HeadSettings(Section):
    """Settings of a head."""

    width: int = 8


def with_own(**given: Any) -> RunSpec:
    return make_spec({**TINY, "method": "own-method", **given})


@pytest.mark.parametrize(
    ("names", "contract"),
    [
        (members.METHOD, Method),
        (members.HEAD, Head),
        (members.SCORER, Scorer),
        (members.GROUPER, Grouper),
        (members.SOURCE, Source),
    ],
)
def test_the_names_are_those_of_the_contracts(names: tuple[str, ...], contract: Any) -> None:
    told = {n for n in {*vars(contract), *contract.__annotations__} if n == "__call__" or not n.startswith("_")}
    assert set(names) == told


def test_settings_of_an_own_method_are_given_as_those_of_others() -> None:
    register_method("own-method", Finetune, OwnSettings)
    assert with_own().method_settings == OwnSettings()
    assert with_own().memory == MemorySpec()
    given = nested(["own-method.weight=0.5", "own-method.rates=[3]", "own-method.memory.side=64"])
    spec = with_own(**given)
    assert spec.method_settings == OwnSettings(weight=0.5, rates=(3,), memory=MemorySpec(side=64))
    assert make_spec(spec.model_dump(mode="json")) == spec
    assert hash(spec) == hash(with_own(**given))
    assert any(line.startswith("own-method: weight=0.5 rates=[3]") for line in lines_of(spec, spec.idle))
    assert not any(line.startswith("own-method") for line in lines_of(make_spec(TINY), make_spec(TINY).idle))
    assert make_spec({**TINY, **given}).own == spec.own  # other runs of a comparison


def test_only_what_is_set_is_in_a_digest() -> None:
    before = digest_of(make_spec(TINY).facts())
    register_method("own-method", Finetune, OwnSettings)
    assert digest_of(make_spec(TINY).facts()) == before
    assert with_own(**{"own-method": {"weight": 1.0}}) == with_own()
    assert "own" not in with_own().facts()
    assert with_own(**{"own-method": {"weight": 2}}).facts() != with_own().facts()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"own-method": {"wieght": 1}}, "unknown key 'own-method.wieght'. Did you mean 'weight'?"),
        ({"own-method": {"weight": "much"}}, "'own-method.weight' is 'much': input should be a valid number"),
        ({"own-method": {"memory": {"side": 1}}}, "'own-method.memory.side' is 1"),
        ({"own-method": 3}, "'own-method' is 3"),
        ({"own-metod": {}}, "unknown key 'own-metod'. Did you mean 'own-method'?"),
        ({"own": {"other": {}}}, "'other' is not registered; load the file that registers it with --import"),
        ({"own-method": {"warmup_epochs": 2}}, "own-method.warmup_epochs is 2 and step.epochs is 2"),
        ({"method": "own-metod"}, "unknown method 'own-metod'. Did you mean 'own-method'?"),
    ],
)
def test_mistakes_in_them_are_told_as_others_are(given: dict[str, Any], message: str) -> None:
    register_method("own-method", Finetune, OwnSettings)
    with pytest.raises(SpecError) as caught:
        with_own(**given)
    assert message in str(caught.value)


def test_a_head_has_settings_too() -> None:
    register_head("own-head", OwnHead, HeadSettings)
    given = {"benchmark": "scenes-5i", "fold": 0, "head": "own-head", "own-head": {"width": 4}}
    spec = make_fewshot_spec(given)
    assert spec.head_settings == HeadSettings(width=4)
    assert (spec.is_trained, spec.needs_stage1) == (True, False)
    assert {"own", "aspp"} <= spec.idle
    assert make_fewshot_spec(spec.model_dump(mode="json")) == spec
    with pytest.raises(SpecError, match=r"unknown key 'own-head\.widht'\. Did you mean 'width'"):
        make_fewshot_spec({**given, "own-head": {"widht": 4}})


def test_a_head_is_built_and_must_say_that_it_builds_upon_stage_1(monkeypatch: pytest.MonkeyPatch) -> None:
    register_head("own-head", OwnHead, HeadSettings)
    spec = make_fewshot_spec({"benchmark": "scenes-5i", "fold": 0, "preset": "tiny", "head": "own-head"})
    weights = find_weights(spec.backbone.backbone, "auto", None)
    model = build_model(spec, weights, 15, None)
    assert model.head.settings == HeadSettings()
    register_head("upon", type("Upon", (OwnHead,), {"stage1": "classes"}))
    assert HEADS["upon"].stage1
    monkeypatch.setattr(OwnHead, "stage1", "decoder")
    with pytest.raises(SpecError, match="head 'own-head' builds upon stage 1; register it with stage1=True"):
        build_model(spec, weights, 15, None)


class Half(nn.Module):
    """A method, head, scorer, grouper that lacks something."""

    paste, digest, stage1 = None, "", ""

    def heads(self) -> tuple[nn.Module, ...]:
        return ()

    def scores(self) -> None: ...

    def grid(self) -> None: ...


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda: register_method("half", Half), "method 'half' lacks 'losses'; its contract has paste, heads"),
        (lambda: register_head("half", Half), "head 'half' lacks 'losses'"),
        (lambda: register_grouper("half", Half), "grouper 'half' lacks 'affinity'"),
        (lambda: register_scorer("half", SimpleNamespace), "scorer 'half' lacks 'digest'"),
        (lambda: register_family(SimpleNamespace(name="half")), "data family 'half' is a SimpleNamespace; make it a"),
        (lambda: register_family(Family("half", print)), "data family 'half' names no preset"),
        (lambda: register_family(Family("half", print, preset="tinny")), "unknown preset 'tinny'. Did you mean 'tiny'"),
        (lambda: register_family(Family("half", print, preset="best")), "'best', which adds to a family's own"),
        (lambda: register_family(Family("half", print, preset="tiny", needs={"date": ""})), "Did you mean 'data'"),
        (lambda: register_method("fmwiss", Finetune), "method 'fmwiss' is registered already"),
        (lambda: register_scorer("clip", print), "scorer 'clip' is registered already"),
        (lambda: register_family(FAMILIES["voc"]), "data family 'voc' is registered already"),
        (lambda: register_method("data", Finetune), "'data' is a part of every specification"),
        (lambda: register_head("seed", OwnHead), "'seed' is a part of every specification"),
        (lambda: register_method("Own", Finetune), "method 'Own' cannot be called so"),
        (lambda: register_grouper("a:b", print), "grouper 'a:b' cannot be called so"),
        (lambda: register_method("own", "Finetune"), "which cannot be called; give a class or a function"),
        (lambda: register_method("own", Finetune, Section), "no subclass of wilss.learn.spec.MethodSettings"),
        (lambda: register_method("own", Finetune, Required), "the setting 'weight' of method 'own' has no default"),
    ],
)
def test_what_cannot_be_registered_is_refused_in_one_sentence(do: Any, message: str) -> None:
    tables = [dict(table) for table in register.TABLES]
    with pytest.raises(SpecError) as caught:
        do()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [dict(table) for table in register.TABLES] == tables


class Required(MethodSettings):
    """Settings that nobody gives."""

    weight: float


class SetsPaste(Finetune):
    """A method whose pasting is known once it is made."""

    def __init__(self, context: Any) -> None:
        self.paste = context


class Bare:
    """Sets nothing."""

    heads = losses = final_masks = SetsPaste.heads


def test_members_that_are_set_when_it_is_made_count_and_what_a_function_makes_is_looked_at() -> None:
    members.require_members(SetsPaste, members.METHOD, "it")
    with pytest.raises(SpecError, match="it lacks 'paste'"):
        members.require_members(Bare, members.METHOD, "it")
    register_method("bare", lambda context: Bare())  # type: ignore[arg-type,return-value]
    with pytest.raises(SpecError, match="method 'bare' lacks 'paste'"):
        build_method("bare", None)  # type: ignore[arg-type]
    register_scorer("bare", lambda *given: Bare())  # type: ignore[arg-type,return-value]
    with pytest.raises(SpecError, match="scorer 'bare' lacks 'digest'"):
        build_scorer(FoundationSpec(scorer="bare:x"))
    register_family(Family("bare", lambda *given: Bare(), preset="tiny"))  # type: ignore[arg-type,return-value]
    with pytest.raises(SpecError, match="data family 'bare' lacks 'classes'"):
        open_source("bare", DataSpec(), Settings(root=Path()))


def test_registering_loads_no_torch() -> None:
    code = "import sys, wilss.register; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_version_of_a_registered_kind_is_in_the_digest_of_its_models() -> None:
    class Same:
        digest = "fixed"

        def scores(self, images_N3HW: Any, prompts: Any) -> Any:
            return None

        def grid(self, height: int, width: int) -> tuple[int, int]:
            return 1, 1

        def affinity(self, images_N3HW: Any, seeds_NS2: Any) -> Any:
            return None

    def digests(version: int) -> tuple[str, str]:
        register_scorer("mys", lambda spec, folder, device: Same(), version)
        register_grouper("myg", lambda spec, folder, device: Same(), version)
        spec = FoundationSpec(scorer="mys:x", grouper="myg:x")
        found = build_scorer(spec).digest, build_grouper(spec).digest
        del SCORERS["mys"], GROUPERS["myg"]
        return found

    assert digests(1) == digests(1)
    assert not set(digests(1)) & set(digests(7))


def test_a_variant_s_name_is_taken() -> None:
    with pytest.raises(SpecError, match="is taken: comparisons call a variant of FMWISS so"):
        register_method("fmwiss-no-paste", Finetune)
