"""Run folders."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stores.runs import write_run


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
