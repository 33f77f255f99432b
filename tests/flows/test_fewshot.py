"""Few-shot runs from the command line, on the smallest preset."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import flows.fewshot
from stores.artefacts import Manifest, Store
from stores.episodes import load_episodes
from stores.models import learn_fewshot, subject
from stores.models.fewshot import load_model
from stores.plans.fewshot_run import FewShotRun
from stores.plans.plan import Plan
from stores.plans.run import Run
from stores.plans.session import Session
from tasks import fewshot, fewshot_train
from wilss.errors import DataError
from wilss.fewshot import shipped
from wilss.fewshot.episodes.batches import evaluation_batch
from wilss.fewshot.grid import make_fewshot_grid
from wilss.fewshot.spec import FewShotSpec, make_fewshot_spec
from wilss.foundation.pretrain.run import write_weights
from wilss.models.card import FewShotCard, load_card
from wilss.models.files import load_state
from wilss.nets.pretrained import find_weights
from wilss.nets.segmenter import build_backbone
from wilss.settings import Settings
from wilss.spec import make_spec

pytestmark = pytest.mark.usefixtures("prefect_backend")
TINY = ("--preset", "tiny", "--set", "episodes=12", "base_episodes=12")
BAM = ("--head", "bam", "--svf", "--shots", 2, *TINY)
COMPARED = ("--heads", "prior", "aspp", "--tunings", "frozen", "full", "--folds", 3, *TINY, "start=base")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that the tests of this file share, so that none trains again what another has trained."""
    return tmp_path_factory.mktemp("fewshot")


def compared_heads(folder: Path, root: Path) -> list[Manifest]:
    """Heads of a comparison, in the order of its rows."""
    runs = json.loads((folder / "compare.json").read_text())["runs"]
    reports = [json.loads((root / "fewshot" / run / "fewshot.json").read_text()) for run in runs]
    return [Store(root).get("heads", report["artefacts"]["head"]) for report in reports]


def opened(root: Path, **content: Any) -> FewShotRun:
    """A tiny few-shot run of fold 3."""
    given = {"benchmark": "scenes-5i", "fold": 3, "preset": "tiny", **content}
    return FewShotRun(make_fewshot_spec(given), Session(Settings(root=root)))


def newest_comparison(root: Path) -> Path:
    return max((root / "comparisons").glob("*/compare.json"), key=lambda path: path.stat().st_mtime_ns).parent


def test_evaluation_says_what_to_train_first(wilss, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, _, err = wilss("few-shot", "eval", "--fold", 3, *TINY, "--root", tmp_path)
    assert code == 2
    assert "no 'aspp, 1 shot' of scenes-5i fold 3" in err
    assert "wilss few-shot train" in err


def test_a_comparison_looks_at_all_that_its_cells_need_before_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[tuple[object, ...]] = []

    class Opened:
        """A run of which nothing is there, and whose data are not opened."""

        def __init__(self, spec: FewShotSpec, session: Session) -> None:
            self.spec, self.plan = spec, Plan(())

        def stands(self, stages: object) -> bool:
            return False

    def look(run: FewShotRun) -> None:
        looked.append((run.spec.fold, run.spec.head, run.spec.size, run.spec.stage1.lists))

    def stop(*_: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(flows.fewshot, "FewShotRun", Opened)
    monkeypatch.setattr(flows.fewshot, "prepare_fewshot", look)
    monkeypatch.setattr(flows.fewshot, "train_stages", stop)
    run = {"benchmark": "coco-20i", "preset": "paper"}
    grid = make_fewshot_grid({"run": run, "heads": ("aspp", "cwt"), "folds": (1, 2), "seeds": (0, 1)})
    with pytest.raises(InterruptedError):
        flows.fewshot.run_fewshot_comparison.fn(grid, Settings(root=tmp_path))
    needs = (("aspp", 641, "all"), ("cwt", 473, "unfiltered"))
    assert looked == [(fold, *need) for fold in (1, 2) for need in needs]
    looked.clear()
    grid = make_fewshot_grid({"run": {"benchmark": "scenes-5i"}, "heads": ("prior", "aspp"), "folds": (0,)})
    with pytest.raises(InterruptedError):
        flows.fewshot.run_fewshot_comparison.fn(grid, Settings(root=tmp_path))
    assert [one[1] for one in looked] == ["prior", "aspp"], "only one of them meets silhouettes"


def test_train_then_eval_writes_a_report(wilss, root: Path) -> None:  # type: ignore[no-untyped-def]
    arguments = ("--fold", 3, *BAM, "--root", root)
    assert wilss("few-shot", "train", *arguments)[0] == 0
    code, out, _ = wilss("few-shot", "eval", *arguments)
    assert code == 0
    assert "12 episodes" in out
    report = json.loads(next((root / "fewshot").glob("*bam-svf-k2*/fewshot.json")).read_text())
    assert (report["shots"], report["tuning"], report["novel"]["episodes"]) == (2, "svf", 12)
    assert len(report["novel"]["per_class_iou"]) == 5
    html = next((root / "fewshot").glob("*bam-svf-k2*/fewshot.html")).read_text()
    assert html.count("<img ") == 10 * (2 + 3), "two supports, query, truth and prediction"
    assert not re.search(r"(src|href)=\"http", html)


def test_report_on_the_singular_values_of_a_few_shot_model(
    wilss,  # type: ignore[no-untyped-def]
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert wilss("few-shot", "train", "--fold", 3, *BAM, "--root", root)[0] == 0
    heads = [m for m in Store(root).all("heads") if m.recipe.get("head") == "bam"]
    shapes = heads[0].parents["shapes"]
    another = {name: value.flip(0) for name, value in load_state(Store(root).path("heads", shapes)).items()}
    write_weights(another, tmp_path / shipped.SHAPES_FILE, {"recipe": shapes, "history": "[]"})
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path)  # what is shipped now is not what the head began with
    code, out, err = wilss("svf", "report", f"heads:{heads[0].digest[:12]}", "--root", root, "--count", 2)
    assert code == 0, err
    assert "bam of scenes-5i fold 3" in out
    report = json.loads((root / "svf" / heads[0].digest / "report.json").read_text())
    assert report["bases"] == f"heads:{heads[0].parents['shapes'][:12]}"
    assert report["n_images"] == 24
    moves = [abs(entry["factor"] - 1) for kind in ("risen", "fallen") for entry in report[kind]]
    assert len(moves) == 4
    assert min(moves) > 1e-4
    assert max(moves) < 0.5
    code, _, err = wilss("svf", "report", f"heads:{heads[0].parents['shapes'][:12]}", "--root", root)
    assert code == 2
    assert "was not tuned by its singular values" in err


def test_report_is_refused_where_other_weights_are_found_than_the_head_began_with(
    wilss,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learn_fewshot, "train_episodic", lambda *_: [])  # the network stays as it starts
    content: dict[str, Any] = {"shapes": None, "train": {"tuning": "svf"}}
    head = fewshot_train.fewshot_head.fn(opened(tmp_path, **content), None, None)
    random = opened(tmp_path, **content, backbone={"weights": "none"})
    digest = fewshot_train.fewshot_head.fn(random, None, None).digest
    assert wilss("svf", "report", f"heads:{digest}", "--root", tmp_path)[0] == 0
    found = json.loads((tmp_path / "svf" / digest / "report.json").read_text())
    assert all(abs(e["factor"] - 1) < 1e-3 for kind in ("risen", "fallen") for e in found[kind]), "the same start"
    report = ("svf", "report", f"heads:{head.digest[:12]}", "--root", tmp_path)
    code, _, err = wilss(*report)
    assert code == 0, err
    monkeypatch.setattr(subject, "find_weights", lambda *names: replace(find_weights(*names), digest="another"))
    code, _, err = wilss(*report)
    assert code == 2
    assert "began with other weights of resnet_scenes" in err


def test_another_fold_than_the_trained_one_is_refused(wilss, root: Path) -> None:  # type: ignore[no-untyped-def]
    arguments = (*BAM, "--root", root)
    assert wilss("few-shot", "train", "--fold", 3, *arguments)[0] == 0
    assert wilss("few-shot", "eval", "--fold", 3, *arguments)[0] == 0
    code, _, err = wilss("few-shot", "eval", "--fold", 2, *arguments)
    assert code == 2
    assert "no 'bam + svf, 2 shots' of scenes-5i fold 2" in err


@pytest.mark.slow
def test_compare_meets_every_model_with_the_same_episodes(wilss, root: Path) -> None:  # type: ignore[no-untyped-def]
    arguments = (*COMPARED, "--root", root)
    code, out, _ = wilss("few-shot", "compare", *arguments)
    assert code == 0
    assert "aspp + full, 1 shot" in out
    folder = newest_comparison(root)
    with (folder / "scores.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [(r["head"], r["tuning"]) for r in rows] == [("prior", "frozen"), ("aspp", "frozen"), ("aspp", "full")]
    ((name, gains),) = json.loads((folder / "compare.json").read_text())["tables"][1]["rows"]
    assert name == "aspp + full, 1 shot", "the only model that is tuned"
    assert float(gains[0]) == pytest.approx(
        100 * (float(rows[2]["novel_miou"]) - float(rows[1]["novel_miou"])), abs=0.06
    )
    heads = compared_heads(folder, root)
    assert len({m.parents["stage1"] for m in heads}) == 1, "one stage 1 for all"
    assert len({m.parents["shapes"] for m in heads}) == 1, "one pretraining for all"
    scores = [m for m in Store(root).all("evaluations") if m.parents.get("head") in {h.digest for h in heads}]
    assert len({m.parents["episodes"] for m in scores}) == 2, "one file of novel, one of base classes"
    again = wilss("few-shot", "compare", *arguments)
    assert again[1] == out, "nothing is trained twice, and the table stays the same"


@pytest.mark.slow
def test_a_model_is_the_same_after_loading_and_for_the_same_seed(root: Path, tmp_path: Path) -> None:
    from flows.fewshot import run_fewshot

    spec = make_fewshot_spec(
        {
            "benchmark": "scenes-5i",
            "fold": 3,
            "preset": "tiny",
            "episodes": 12,
            "base_episodes": 12,
            "train": {"tuning": "svf"},
        }
    )
    first, second = (run_fewshot(spec, Settings(root=folder)) for folder in (root, tmp_path))
    assert first["novel"] == second["novel"]
    assert first["artefacts"] == second["artefacts"]
    run = FewShotRun(spec, Session(Settings(root=root)))
    model, episodes = (
        load_model(run, run.require("head")),
        load_episodes(run, "eval", run.require("episodes eval")),
    )
    batch = evaluation_batch(run.test, episodes[:3], spec.size, False, run.device)
    with torch.inference_mode():
        whole, single = (
            model.predict(batch),
            model.predict(evaluation_batch(run.test, episodes[1:2], spec.size, False, run.device)),
        )
    assert torch.allclose(whole[1], single[0], atol=1e-4)


@pytest.mark.slow
def test_only_fold_3_may_start_15_5(wilss, root: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert wilss("few-shot", "compare", *COMPARED, "--root", root)[0] == 0
    frozen = compared_heads(newest_comparison(root), root)[0]
    stage1, shapes = (Store(root).get("heads", frozen.parents[key]) for key in ("stage1", "shapes"))

    def start(benchmark: str, digest: str, *more: str) -> tuple[int, str, str]:
        common = ("--preset", "tiny", "--root", root, "--step", 0, "--method", "finetune")
        found: tuple[int, str, str] = wilss(
            "step", benchmark, *common, "--set", f"student.weights=heads:{digest[:12]}", *more
        )
        return found

    assert start("scenes-15-5", stage1.digest)[0] == 0
    content = {"benchmark": "scenes-15-5", "preset": "tiny", "student": {"weights": f"heads:{stage1.digest[:12]}"}}
    run = Run(make_spec(content), Session(Settings(root=root)))
    student = build_backbone(run.spec.student, run.weights).state_dict()
    state = load_state(Store(root).path("heads", stage1.digest))
    kept = {n: v for n, v in student.items() if not n.endswith("num_batches_tracked")}
    assert all(torch.equal(value, state[f"backbone.body.{name}"]) for name, value in kept.items())
    tuned = compared_heads(newest_comparison(root), root)[-1]
    assert load_card(Store(root).path("heads", tuned.digest), FewShotCard).architecture["train"]["tuning"] == "full"
    assert start("scenes-15-5", tuned.digest)[0] == 0
    assert start("scenes-10-10", shapes.digest)[0] == 0  # random silhouettes belong to no fold
    code, _, err = start("scenes-10-10", stage1.digest)
    assert code == 2
    assert "has seen masks of" in err
    code, _, err = start("scenes-15-5", stage1.digest, "--scenario", "disjoint")
    assert code == 2
    assert "--lists filtered" in err
    code, _, err = start("scenes-15-5", frozen.digest)
    assert code == 2
    assert f"heads:{stage1.digest[:12]}" in err
    assert start("scenes-15-5", "0" * 12)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fold", 0, "--set", "min_area=4000"), "K = 1 needs 2"),
        (("--fold", 0, "--shots", 19), "K = 19 needs 20"),
        (("--fold", 7), "fold"),
        (("--fold", 0, "--head", "pfnet"), "Did you mean 'pfenet'"),
        (("--fold", 0, "--set", "size=64"), "multiple of 8"),
        (("--fold", 0, "--benchmark", "pascal-5i"), "VOC folder"),
        (("--fold", 0, "--set", "backbone.output_stride=0"), "output_stride"),
        (("--fold", 0, "--svf", "--set", "train=3"), "'train' is a section"),
        (("--fold", 0, "--svf", "--set", "train.tuning=full"), "the same thing twice"),
        (("--fold", 0, "--labels-csv", __file__), "leave out --labels-csv"),
        (("--fold", 0, "--benchmark", "coco-to-pascal", "--train-list", "train"), "leave out --train-list"),
        (("--fold", 0, "--device", "cuda:99"), "device 'cuda:99' is not available"),
        (("--fold", 0, "--again", "scores"), "'scores' is no stage that could be made again here"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is_trained(  # type: ignore[no-untyped-def]
    wilss, tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    code, _, err = wilss("few-shot", "train", *TINY, "--root", tmp_path, *arguments)
    assert code == 2
    assert words in err
    assert "Traceback" not in err
    assert not (tmp_path / "heads").exists()


def test_an_empty_support_mask_is_refused(root: Path) -> None:
    run = opened(root, episodes=12, base_episodes=12)
    episode = load_episodes(run, "eval", fewshot.frozen_episodes.fn(run, "eval"))[0]
    without = next(i for i in run.test.ids("eval") if not bool((run.test.mask(i) == episode.class_id).any()))
    wrong = type(episode)(episode.query, episode.class_id, (without,))
    with pytest.raises(DataError, match="no pixel of class"):
        evaluation_batch(run.test, [wrong], run.spec.size, False, run.device)


@pytest.mark.slow
def test_several_shots_and_the_same_options_for_every_command(wilss, root: Path) -> None:  # type: ignore[no-untyped-def]
    common = ("--fold", 3, "--shots", 1, 3, *TINY, "--root", root)
    code, out, err = wilss("few-shot", "train", "--head", "aspp", *common)
    assert code == 0, err
    assert all(f"{k} shot: heads " in out for k in (1, 3))
    code, out, err = wilss("few-shot", "eval", "--head", "aspp", *common)
    assert code == 0, err
    assert out.count("fewshot.html") == 2
    code, out, err = wilss("few-shot", "compare", "--head", "prior", "--svf", *common)
    assert code == 0, err
    assert all(row in out for row in ("prior, 1 shot", "prior, 3 shots"))
    code, _, err = wilss("few-shot", "compare", "--head", "prior", *common)
    assert code == 0, err
    assert "prior, 1 shot: found, made " in err
    code, _, err = wilss("few-shot", "compare", "--head", "prior", "--again", "head", *common)
    assert code == 0, err
    assert "prior, 1 shot: found" not in err
    assert "silhouettes: found, made " in err
    assert "episodes (novel classes): found, made " in err
    assert "scores (novel classes): found" not in err
    code, _, err = wilss("few-shot", "compare", "--head", "prior", "--svf", "--tunings", "full", *common)
    assert code == 2
    assert "the same thing twice" in err
