"""JSON and YAML from others: bounded, refused at once, in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.pace import within
from wilss import outside
from wilss.custom import read_benchmark
from wilss.errors import FormatError, SpecError
from wilss.outside import DEPTH, YAML_BYTES, checked, parse_json, parse_yaml, read_json, read_yaml
from wilss.spec import make_spec
from wilss.words import nested

BOMB = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + k)}: &{chr(98 + k)} [*{chr(97 + k)}, *{chr(97 + k)}]\n" for k in range(24)
)
YAML = {
    BOMB: "anchor or an alias",
    "a: *a": "anchor or an alias",
    "!!int x": "the tag 'tag:yaml.org,2002:int'",
    "!!python/object/apply:os.system ['true']": "the tag",
    "a: !mine 3": "the tag '!mine'",
    "2001-99-99": "month must be in 1..12",
    "9" * 5000: "Exceeds the limit",
    "[" * 20_000: "nested deeper than",
    "{a: " * 20_000: "nested deeper than",
    "- " * 20_000: "nested deeper than",
    "a: '" + "x" * YAML_BYTES + "'": "longer than",
    "a:\n  [": "found '<stream end>', line 2",
    "? [a]\n: b": "found unhashable key, line 1",
    "\x00": "special characters",
    "name: a\nsteps: [[x]]\nsteps: [[y]]": "the key 'steps' twice, the second time in line 3",
    "a:\n  b: 1\n  c: {d: 1, e: 2, d: 3}": "the key 'd' twice, the second time in line 3",
    "- {a: 1}\n- {a: 1}\n- a: [1]\n  'a': 2": "the key 'a' twice, the second time in line 4",
    "a: 1\n\tb: 2": "line 2",
}


def one_sentence(caught: pytest.ExceptionInfo[Exception]) -> str:
    message = str(caught.value)
    assert len(message) < 600
    assert "\n" not in message
    return message


@pytest.mark.parametrize("text", YAML, ids=lambda text: text[:12].encode().hex())
def test_yaml_that_is_no_plain_data(text: str, tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(text)
    with within(2), pytest.raises(SpecError) as caught:
        read_benchmark(path)
    message = one_sentence(caught)
    assert message.startswith(f"'{path}' is no usable YAML (")
    assert message.endswith("; see docs/data.md for an example")
    assert YAML[text] in message or (YAML[text] == "longer than" and "larger than" in message)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_other_encodings_of_yaml(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "b.yml"
    path.write_text("name: größe\n", encoding=encoding)
    if encoding == "utf-8-sig":
        assert read_benchmark(path) == {"name": "größe"}
        return
    with pytest.raises(SpecError) as caught:
        read_benchmark(path)
    assert one_sentence(caught).startswith(f"'{path}' is no usable YAML (")
    if encoding == "utf-16":
        assert "it is UTF-16; save it as UTF-8" in str(caught.value)


def test_equal_keys_of_different_mappings_are_no_fault() -> None:
    text = "a: {x: 1, y: {x: a}}\nb: {x: a}\nx: [a, a, {x: 1}]"
    assert parse_yaml(text, "", "") == {"a": {"x": 1, "y": {"x": "a"}}, "b": {"x": "a"}, "x": ["a", "a", {"x": 1}]}


def test_plain_yaml_is_read(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text("a: [1, 'x']\n")
    assert read_yaml(path, "") == {"a": [1, "x"]}
    assert parse_yaml("[" * DEPTH + "]" * DEPTH, "", "")
    with pytest.raises(SpecError, match=f"nested deeper than {DEPTH}"):
        parse_yaml("[" * (DEPTH + 1) + "]" * (DEPTH + 1), "", "")


@pytest.mark.parametrize(
    "value", ["[!!int x]", "[{a: 1, a: 2}]", "[2001-99-99]", "[&a 1, *a]", "[" * 20_000, "[" + "1," * YAML_BYTES]
)
def test_lists_of_the_command_line_are_bounded_too(value: str) -> None:
    with pytest.raises(SpecError) as caught:
        nested([f"foundation.background={value}"])
    message = one_sentence(caught)
    assert message.startswith("'foundation.background=[")
    assert "holds no list (" in message


def test_a_key_of_a_thousand_sections_is_refused() -> None:
    with pytest.raises(SpecError, match="names 20001 sections one in the other"):
        nested(["step.epochs" + ".x" * 20_000 + "=1"])


def test_many_mistakes_are_no_page(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        make_spec({"benchmark": "scenes-15-5", **{f"key{k}": 1 for k in range(10_000)}})
    assert len(str(caught.value)) < 3000
    with pytest.raises(SpecError) as caught:
        make_spec({"benchmark": "scenes-15-5", "seed": "x" * 10**6})
    assert len(str(caught.value)) < 1000
    with pytest.raises(SpecError, match="'preset' is"):
        make_spec({"benchmark": "scenes-15-5", "preset": ["a"]})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 100_000, "recursion"),
        (b"[" * 100_000 + b"]" * 100_000, "recursion"),
        (b'{"a":' * 100_000, "recursion"),
        (b"[" * 40 + b"]" * 40, f"nested deeper than {DEPTH}"),
        (b'{"a": [' * 20 + b"]}" * 20, f"nested deeper than {DEPTH}"),
        (b"9" * 5000, "Exceeds the limit"),
        (b"\xff\xfe", "it is UTF-16; save it as UTF-8"),
        (b"", "Expecting value"),
        (b" " * 200, "larger than 100 bytes"),
    ],
)
def test_json_that_is_not_read(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    path.write_bytes(content)
    with pytest.raises(FormatError) as caught:
        read_json(path, "delete it", 100 if content == b" " * 200 else 1 << 20)
    message = one_sentence(caught)
    assert reason in message
    assert message.startswith(f"'{path}' is damaged (")
    assert message.endswith("; delete it")


def test_json_as_deep_as_ours_is_read(tmp_path: Path) -> None:
    deep: Any = 1
    for _ in range(DEPTH):
        deep = [deep, {"a": 1}]
    assert parse_json(json.dumps(deep), "", "") == deep
    with pytest.raises(FormatError, match=r"^here \(it is nested deeper than 32\); there$"):
        parse_json(json.dumps([deep]), "here", "there")
    with pytest.raises(FormatError, match=r"is damaged \(No such file or directory\); delete it"):
        read_json(tmp_path / "none.json", "delete it")
    with pytest.raises(FormatError, match=r"is damaged \(Is a directory\); delete it"):
        read_json(tmp_path, "delete it")


def test_an_endless_file_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "YAML_BYTES", 1000)
    with pytest.raises(SpecError, match="larger than 1000 bytes"):
        read_yaml(Path("/dev/zero"), "")


class Card(BaseModel):
    numbers: dict[str, int]


def test_a_bad_field_is_named_and_shortened(tmp_path: Path) -> None:
    assert checked(Card, {"numbers": {"a": 1}}, tmp_path, "").numbers == {"a": 1}
    with pytest.raises(FormatError) as caught:
        checked(Card, {"numbers": {"k" * 10_000: "v" * 10_000}}, tmp_path, "delete it")
    assert f"'{tmp_path}' is damaged: 'numbers.kkk" in one_sentence(caught)
    with pytest.raises(FormatError, match=r"is damaged \(Input should be a valid dictionary.*\); delete it"):
        checked(Card, [], tmp_path, "delete it")
