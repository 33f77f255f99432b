"""Run folders."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stores.runs import fewshot_folder, run_folder, write_run
from wilss.fewshot.spec import make_fewshot_spec
from wilss.settings import Settings
from wilss.spec import make_spec


def test_runs_over_other_folders_have_folders_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, few = make_spec({"benchmark": "voc-15-5"}), make_fewshot_spec({"benchmark": "pascal-5i", "fold": 0})
    monkeypatch.chdir(tmp_path)

    def folders(**options: Path) -> tuple[str, str]:
        settings = Settings(root=tmp_path, **options)
        return run_folder(settings, run).name, fewshot_folder(settings, few).name

    plain, first, second = folders(), folders(data=Path("one")), folders(data=Path("two"))
    for kind in range(2):
        assert len({names[kind] for names in (plain, first, second)}) == 3
    assert folders(data=tmp_path / "one") == first  # however it is written
    assert folders(data=Path("one"), weights=Path("w")) != first


def test_several_writers_of_one_report_leave_a_whole_one(tmp_path: Path) -> None:
    """Comparisons that share cells end at the same moment when they waited for the same one."""
    pages = [letter * 300_000 for letter in "abcd"]

    def write(page: str) -> None:
        for _ in range(20):
            write_run(tmp_path, {"report.json": page, "report.html": page})

    with ThreadPoolExecutor(len(pages)) as pool:
        list(pool.map(write, pages))
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "report.html"}
    assert all(path.read_text() in pages for path in tmp_path.iterdir())
