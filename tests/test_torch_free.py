"""What only reads specifications, tables and manifests starts without torch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stores.artefacts import Recipe, Store
from stores.labels.index import LabelIndex
from stores.labels.writer import LabelWriter, ShardRows
from wilss.measure.columns import COLUMNS

ROOT = Path(__file__).parent.parent
COMMAND = """
import sys
from deployments.command import main
sys.argv[0] = "wilss"
try:
    main()
except SystemExit as end:
    code = end.code
"""
READ = """
from pathlib import Path
from stores.labels.sets import LabelSet
from stores.labels.stats import label_stats
labels = LabelSet.open(Path(sys.argv[1]))
stats = label_stats(labels, None, 3)
soft, bits = labels.soft(1), labels.image_masks("refined", 1)
dense = labels.values("initial", 0, 1)
print(len(stats.worst), "worst", int(bits.sum()), float(soft[0].sum() / 2), len(dense[0]), int(dense.sum()))
"""
REPORT = "\nprint('torch' in sys.modules, 'timm' in sys.modules)"


def run(code: str, *arguments: object) -> str:
    words = [sys.executable, "-c", f"import sys\n{code}{REPORT}", *map(str, arguments)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with one run and one label set, and a label table beside them."""
    root = tmp_path_factory.mktemp("root")
    folder = root / "runs" / "voc-15-5-overlap-fmwiss-s0-0"
    folder.mkdir(parents=True)
    report = {
        "run": folder.name,
        "benchmark": "voc-15-5",
        "method": "fmwiss",
        "scenario": "overlap",
        "seed": 0,
        "metrics": {"old": 0.5, "new": 0.4, "all": 0.45},
        "steps": [],
        "total_seconds": 1.0,
        "peak_rss_bytes": 1,
    }
    (folder / "report.json").write_text(json.dumps(report))
    store, recipe = Store(root), Recipe("labels", {}, {})
    with store.build(recipe) as staging:
        store.publish(recipe, staging, {"images": 3}, {"benchmark": "voc-15-5", "step": 1})
    (root / "labels.csv").write_text("image_id,labels\na,person\nb,sofa train\nc,dog sofa\n")
    return root


@pytest.mark.parametrize(
    "module",
    [
        "wilss",
        "wilss.spec",
        "wilss.grid",
        "wilss.fewshot.grid",
        "wilss.report.charts",
        "wilss.report.gallery",
        "wilss.report.pages",
        "stores.runs",
        "stores.registry",
        "stores.models.listing",
        "stores.plans.given",
        "stores.labels.origin",
        "stores.labels.review.carry",
        "stores.labels.review.outcome",
        "stores.labels.view",
        "deployments.inspector.app",
        "deployments.inspector.worker",
        "flows.cli",
    ],
)
def test_importing_loads_no_torch(module: str) -> None:
    assert run(f"import {module}") == "False False\n"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("--help", "compare"),
        ("serve --help", "Serve a model over HTTP"),
        ("runs --root ROOT", "voc-15-5-overlap-fmwiss-s0-0"),
        ("labels list --root ROOT", "co-segmented"),
        ("models list --root ROOT", "no models yet"),
        ("protocol voc-15-5 --labels ROOT/labels.csv", "1 with 1, 1 with 2"),
    ],
)
def test_commands_load_no_torch(command: str, shown: str, root: Path) -> None:
    out = run(COMMAND, *command.replace("ROOT", str(root)).split())
    assert shown in out
    assert out.endswith("\nFalse False\n")


def test_label_sets_are_read_without_torch(tmp_path: Path) -> None:
    index = LabelIndex(("a", "b"), ("dog", "sofa"), np.array([[1, 0], [1, 1]]), 8, (2, 2), ("initial", "refined"))
    packed, sizes = np.full((3, 8, 1), 255, np.uint8), np.full((2, 4), 8, np.uint32)
    numbers = np.full((3, len(COLUMNS)), 0.5, np.float32)
    soft, masks = np.ones((3, 2, 2), np.float16), {"initial": packed, "refined": packed}
    LabelWriter.begin(tmp_path, index).write(0, ShardRows(masks, soft, numbers, sizes, sizes))
    out = run(READ, tmp_path)
    assert out == "3 worst 128 2.0 2 64\nFalse False\n"


def test_the_test_would_see_torch() -> None:
    assert run("import wilss.nets.segmenter") == "True True\n"


def test_who_imports_timm_or_open_clip_makes_torchvision_importable_before() -> None:
    """No package does it for its modules: packages are imported for their settings too."""
    heavy = re.compile(r"^(?:import|from) (?:timm|open_clip|torchvision)\b", re.MULTILINE)
    files = [path for path in (ROOT / "wilss").rglob("*.py") if heavy.search(path.read_text())]
    assert len(files) > 10
    for path in files:
        first, _, rest = path.read_text().partition("import wilss._torchvision")
        assert rest, f"{path.relative_to(ROOT)} imports timm without wilss._torchvision"
        assert not heavy.search(first), path
