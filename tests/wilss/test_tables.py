"""Tables of labels as people's programs write them: read right, or refused with the true reason and a cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from wilss.data.tags import label_table, read_labels, row_findings
from wilss.errors import DataError

CLASSES = ("cat", "dog", "guinea pig")
NAMES = {
    "a.jpg": "a",
    "a": "a",
    "b.jpg": "b",
    "b": "b",
    "café.jpg": "café",
    "café": "café",
    "a.b.jpg": "a.b",
    "a.b": "a.b",
}
BOTH = {"a": (1,), "b": (2,)}


def read(
    path: Path, content: bytes | str, classes: tuple[str, ...] = CLASSES, **options: object
) -> dict[str, tuple[int, ...]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_labels(path, classes, NAMES, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("\ufeffimage,labels\r\na.jpg,cat\r\n\r\nb.jpg,dog\r\n", BOTH),
        ("image,labels\ra.jpg,cat\rb.jpg,dog\r", BOTH),
        ("image;labels\na.jpg;cat\nb.jpg;dog\n", BOTH),
        ("image\tlabels\na.jpg\tcat\nb.jpg\tdog", BOTH),
        ("image|labels\na.jpg|cat\nb.jpg|dog", BOTH),
        ("sep=;\nimage;labels\na.jpg;cat\nb.jpg;dog", BOTH),
        ('"sep=,"\nimage,labels\na.jpg,cat\nb.jpg,dog', BOTH),
        ('"image","labels"\n"a.jpg","cat"\n"b.jpg","dog"', BOTH),
        ("image,labels\n a.jpg , Cat\nb.jpg,DOG ", BOTH),
        ("image,labels\nimages/a.jpg,cat\n./b.jpg,dog", BOTH),
        ("image,labels\nimages\\a.jpg,cat\n/data/images/b.jpg,dog", BOTH),
        ("image,labels\na.JPG,cat\nb.png,dog", BOTH),
        ('image,labels\na,"cat,dog"\nb,"dog;cat"', {"a": (1, 2), "b": (1, 2)}),
        ("image,labels\na,\"['cat', 'guinea pig']\"\nb,dog", {"a": (1, 3), "b": (2,)}),
        ("image,labels\na,cat guinea  Pig\nb,dog", None),
        ("image,labels\na,guinea  Pig\nb,dog cat", {"a": (3,), "b": (1, 2)}),
        ("image,cat,dog\na.jpg,1,0\nb.jpg,0,1", BOTH),
        ("filename, Cat, dog, guinea pig, Unlabeled\na.jpg, 1, 0, 0, 0\nb.jpg, 0, 1, 0, 0\n", BOTH),
        ("image;cat;dog\na.jpg;true;false\nb.jpg;False;TRUE\n", BOTH),
        ("image,cat,dog\na.jpg,1.0,0.0\nb.jpg,0,1", BOTH),
        ("image,cat,dog\na,1,0,\nb,0,1,,\n", BOTH),
        ("image,cat,dog,\na,1,0\nb,0,1,\n", BOTH),
        ("image,labels\na.b.jpg,cat\n", {"a.b": (1,)}),
        ("image,labels\ncafe\u0301.jpg,cat\n", {"café": (1,)}),
    ],
)
def test_dialects_are_read_right(tmp_path: Path, content: str, expected: dict[str, tuple[int, ...]] | None) -> None:
    if expected is None:
        with pytest.raises(DataError, match=r"names the class 'guinea', which is none"):
            read(tmp_path / "l.csv", content)
    else:
        assert read(tmp_path / "l.csv", content) == expected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings_are_told_apart(tmp_path: Path, encoding: str) -> None:
    rows = "image,labels\ncafé.jpg,cat\n"
    assert read(tmp_path / "l.csv", rows.encode(encoding)) == {"café": (1,)}
    found = row_findings(label_table(tmp_path / "l.csv", CLASSES, NAMES), CLASSES, NAMES)
    assert [f.kind for f in found] == (["encoding"] if encoding == "cp1252" else [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image,labels\na,cat\na.jpg,dog\n", "l.csv:3' repeats image id 'a' of row 2; write one row an image"),
        ("image,labels\na,ca\0t\n", "l.csv:2' holds a zero byte, so the file is damaged or no text; save it"),
        ("image,labels\na,cat\nb;dog\n", "l.csv:3' is parted by ';', the header by ','; write one of them"),
        ('image,labels\na,"cat\nb,dog\n', "l.csv:2' opens a quote that the line does not close"),
        ("image,cat,dog\na,1,0\nb,0.7,0\n", "l.csv:3' holds '0.7' in the column 'cat'; where a class has a column"),
        ("image,labels\nx.jpg,cat\ny.jpg,dog\n", "names no image of 'the data', but 2 such as 'x.jpg' and not 'a'"),
        ("image,labels\na,cat\nx.jpg,dog\n", "l.csv:3' names image 'x.jpg', .*; put the file there, correct the name"),
        (
            "image,labels\na,background\n",
            "names the class 'background', .*; remove it: every image may have background",
        ),
        ("image,cat,dog\na,1,0\nb,0,1,2\n", "l.csv:3' holds '2' in the column ''; where a class has a column"),
        ("image,cat,dog\na,1,0\nb,0,0,1\n", "l.csv:3' has 4 cells, the header 3; write one cell a column, 0 or 1"),
        ("image,cat,dog\na,1\nb,0,1\n", "l.csv:2' has 2 cells, the header 3; write one cell a column, 0 or 1"),
        ("image,labels\na," + "x" * (1 << 18), "l.csv' is no table of text .*; save it as CSV in UTF-8"),
        ("x" * (1 << 18), "l.csv' is no table of text .*; save it as CSV in UTF-8"),
        (b"PK\x03\x04 and more", "l.csv' is a spreadsheet or archive and no text; export it as CSV"),
        (b"image,labels\na,\x81\x8d\n", "l.csv' is no text in utf-8 or cp1252; save it as UTF-8"),
        ("", "l.csv' is empty; its first line must be a header"),
        ("a.jpg,cat\nb.jpg,dog\n", "begins with the labels of 'a.jpg'; its first line must be a header"),
    ],
)
def test_what_cannot_be_read_is_refused_with_reason_and_cure(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path / "l.csv", content)


def test_classes_whose_names_look_like_numbers_or_lists_stay_whole(tmp_path: Path) -> None:
    numbers = read(tmp_path / "l.csv", "image,labels\na,0\nb,1\n", ("0", "1"))
    assert numbers == BOTH
    lists = read(tmp_path / "l.csv", 'image,labels\na,"salt, pepper"\nb,"salt, pepper;dog"\n', ("salt, pepper", "dog"))
    assert lists == {"a": (1,), "b": (1, 2)}
    cases = read(tmp_path / "l.csv", "image,labels\na,Cat\nb,cat\n", ("Cat", "cat"))
    assert cases == BOTH


def test_classes_called_by_numbers_have_columns_too(tmp_path: Path) -> None:
    assert read(tmp_path / "l.csv", "image,1,0\na,1,0\nb,0,1\n", ("1", "0")) == BOTH
    with pytest.raises(DataError, match=r"begins with the labels of 'e.jpg'"):
        read(tmp_path / "l.csv", "e.jpg,1,0\na,1,0\nb,0,1\n", ("1", "0"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "id,1,0,1\na,1,0,1\nb,0,1,0\n",
            "l.csv' has only columns called by numbers, such as '1', which name no class; ",
        ),
        (
            "id,cat,dog\na,0.5,0.9\nb,0.1,0\n",
            "l.csv' holds only numbers, such as '0.5' in the column 'cat', which name",
        ),
        ("id,x,y\na,10,20\nb,1,2\n", "holds only numbers, such as '10' in the column 'x'"),
        ("id,score\na,0.5\nb,1\n", "holds only numbers, such as '0.5' in the column 'score'"),
    ],
)
def test_columns_of_numbers_are_no_classes_where_none_is_known(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "l.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        label_table(tmp_path / "l.csv", (), NAMES)


def test_a_column_of_whole_numbers_may_be_names_which_is_told(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("image,label\na,3\nb,7\n")
    table = label_table(tmp_path / "l.csv", (), NAMES)
    assert table.names == ("3", "7")
    (finding,) = row_findings(table, (), NAMES)
    assert (finding.severity, finding.kind) == ("warn", "numbers")
    assert "calls all classes by numbers, such as '3'" in finding.seen
    assert not row_findings(label_table(tmp_path / "l.csv", ("3", "7"), NAMES), (), NAMES)


@pytest.mark.parametrize(("images", "dogs", "warned"), [(12, 5, True), (12, 6, False), (9, 0, False)])
def test_names_of_one_image_alone_are_told_where_no_class_is_known(
    tmp_path: Path, images: int, dogs: int, warned: bool
) -> None:
    names = {f"i{k}": f"i{k}" for k in range(images)}
    rows = "".join(f"i{k},{'dog' if k < dogs else f'a photo of cat number {k}'}\n" for k in range(images))
    (tmp_path / "l.csv").write_text(f"image,label\n{rows}")
    found = row_findings(label_table(tmp_path / "l.csv", (), names), (), names)
    assert [finding.kind for finding in found] == ["names-of-one-image"] * warned
    assert not warned or f"has {images - dogs} names that one image alone has, of {images} images" in found[0].seen


def test_a_table_of_columns_needs_no_known_class(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("image,cat,dog\na,1,0\nb,0,1\n")
    assert label_table(tmp_path / "l.csv").names == ("cat", "dog")
    (tmp_path / "l.csv").write_text("image,labels\na,0\nb,1\n")
    assert label_table(tmp_path / "l.csv").names == ("0", "1")


@pytest.mark.parametrize(
    ("content", "cell", "column"),
    [
        ("image,width,cat,dog\na,640,1,0\nb,0,0,1\n", "640", "width"),
        ("image,cat,dog,notes\na,1,0,\nb,0,1,blurred\n", "blurred", "notes"),
        ("image,labels,split\na,cat,train\nb,dog,val\n", "train", "split"),
        ("image,labels,width\na,cat,640\nb,dog,480\n", "640", "width"),
    ],
)
def test_a_column_that_is_no_label_is_named_where_no_class_is_known(
    tmp_path: Path, content: str, cell: str, column: str
) -> None:
    (tmp_path / "l.csv").write_text(content)
    with pytest.raises(DataError, match=rf"l.csv' holds '{cell}' in the column '{column}', and .*; .* remove the col"):
        label_table(tmp_path / "l.csv")


@pytest.mark.parametrize("classes", [CLASSES, ()])
@pytest.mark.parametrize("rows", ["a,x,\nb,,x\n", "a,X,0\nb,0,X\n", "a,\u2713,-\nb,-,\u2713\n"])
def test_columns_of_classes_that_are_ticked_are_refused_with_the_true_reason(
    tmp_path: Path, classes: tuple[str, ...], rows: str
) -> None:
    (tmp_path / "l.csv").write_text(f"image,cat,dog\n{rows}", encoding="utf-8")
    with pytest.raises(DataError, match=r"l.csv:2' holds '[xX\u2713]' in the column 'cat'; .* holds 0 or 1: write"):
        label_table(tmp_path / "l.csv", classes, NAMES)
    (tmp_path / "l.csv").write_text("image,labels\na,x\nb,y\n")
    assert label_table(tmp_path / "l.csv").names == ("x", "y")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("file,target\na,0\nb,1\n", ("0", "1")),
        ("image,cat\na,1\nb,0\n", ("cat",)),
        ("image,first,second\na,cat,\nb,dog,train\n", ("cat", "dog", "train")),
        ("image,first,second\na,bus,\nb,train,bus\n", ("bus", "train")),
        ("image,labels,\na,train,\nb,bus,\n", ("bus", "train")),
    ],
)
def test_columns_of_names_stay_what_they_are_where_no_class_is_known(
    tmp_path: Path, content: str, names: tuple[str, ...]
) -> None:
    (tmp_path / "l.csv").write_text(content)
    assert label_table(tmp_path / "l.csv").names == names


def test_any_other_name_may_be_passed_over(tmp_path: Path) -> None:
    rows = "image,labels\na,cat;sofa;lamp\nb,dog;teddy bear\n"
    assert read(tmp_path / "l.csv", rows, ignore=("*",)) == BOTH
    table = label_table(tmp_path / "l.csv", CLASSES, NAMES, ("*",))
    (note,) = row_findings(table, CLASSES, NAMES, ("*",))
    assert str(note).endswith(
        "has 3 tags of 3 names that no step learns: lamp, sofa, teddy bear; nothing has to be done"
    )


@pytest.mark.parametrize(
    ("rows", "severity", "message"),
    [
        ("a,cat;dogg\nb,cat", "warn", "names 'dogg' (1 rows), which is passed over and nearly the class 'dog'"),
        ("a,cat;hot dog\nb,cat", "warn", "names 'hot dog', which is passed over and holds the name of the class 'dog'"),
        ("a,hot dog\nb,cat", "refuse", "names 'hot dog', which is passed over and holds the name of the class 'dog'"),
    ],
)
def test_names_that_are_passed_over_and_look_like_classes_are_told(
    tmp_path: Path, rows: str, severity: str, message: str
) -> None:
    (tmp_path / "l.csv").write_text(f"image,labels\n{rows}\n")
    found = row_findings(label_table(tmp_path / "l.csv", CLASSES, NAMES, ("*",)), CLASSES, NAMES, ("*",))
    assert [f.severity for f in found if message in str(f)] == [severity]
