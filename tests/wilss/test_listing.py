"""Images of every step, from a label table."""

from __future__ import annotations

from pathlib import Path

from wilss.data.families import family_of
from wilss.data.listing import list_steps, read_list, write_lists
from wilss.protocol import benchmark


def test_every_step_is_listed_and_written(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("image_id,labels\na,person\nb,sofa train\nc,dog sofa\nd,cat dog kite\n")
    images = read_list(table, family_of("voc").classes, ignore=("kite",))
    first, second = list_steps(images, benchmark("voc-15-5"), "overlap")
    assert (first.ids, first.images, first.images_by_labels) == (("a", "c", "d"), 3, {"1": 2, "2": 1})
    assert (second.ids, second.with_old_class, second.in_earlier_step) == (("b", "c"), 1, 1)
    assert second.classes[-1] == "tvmonitor"
    write_lists([first, second], tmp_path / "lists")
    assert (tmp_path / "lists" / "step-1.txt").read_text() == "b\nc\n"
