"""Reading JSON, YAML and XML that others may have written: bounded in size and depth, and refused in one sentence."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar
from xml.parsers import expat

import yaml
from pydantic import BaseModel, Field, ValidationError

from wilss.errors import FormatError, SpecError, WilssError

JSON_BYTES = 64 << 20
"""Of a manifest, a card, scores; what holds a row an image says its own bound."""
YAML_BYTES = 256 << 10
"""A benchmark of 254 classes with their prompts has less than half of it."""
DEPTH = 32
"""Levels of lists and mappings; ours have at most eight."""

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Pixels = Annotated[int, Field(ge=0, lt=2**63)]
"""A number of pixels that a file tells."""
Model = TypeVar("Model", bound=BaseModel)


def read_json(path: Path, advice: str, limit: int = JSON_BYTES) -> Any:
    """Content of a JSON file.

    Args:
        advice: what to do about a file that cannot be read; it ends the message. limit: bytes that are read at most.

    Raises FormatError for a file that is missing, too large, no JSON in UTF-8, or nested deeper than `DEPTH`.
    """
    problem = f"'{path}' is damaged"
    return parse_json(_text(path, limit, FormatError, problem, advice), problem, advice)


def parse_json(text: str, problem: str, advice: str) -> Any:
    """Content of a JSON text. Raises FormatError, "PROBLEM (reason); ADVICE", as `read_json` does."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as reason:
        raise FormatError(f"{problem} ({_first_line(reason)}); {advice}") from reason
    if not _is_shallow(content):
        raise FormatError(f"{problem} (it is nested deeper than {DEPTH}); {advice}")
    return content


def read_yaml(path: Path, advice: str) -> Any:
    """Content of a YAML file. Raises SpecError as `parse_yaml` does, and for a file that cannot be read."""
    problem = f"'{path}' is no usable YAML"
    return parse_yaml(_text(path, YAML_BYTES, SpecError, problem, advice), problem, advice)


def is_yaml(name: str) -> bool:
    """Whether a name is that of a YAML file rather than of something built in."""
    return Path(name).suffix.lower() in (".yaml", ".yml")


def parse_yaml(text: str, problem: str, advice: str) -> Any:
    """Content of a YAML text: plain lists, mappings and scalars.

    Raises SpecError, "PROBLEM (reason); ADVICE", for a text that is too long, has a tag, an anchor or an alias (a few
    lines of them stand for gigabytes), gives a key of a mapping twice, is nested deeper than `DEPTH`, or holds a value
    that is none (2001-99-99).
    """
    reason = f"it is longer than {YAML_BYTES} bytes"
    if len(text) <= YAML_BYTES:
        try:
            reason = _refused(text)
            if not reason:
                return yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
            reason = f"{error.problem}{line}"
        except (yaml.YAMLError, ValueError) as error:
            reason = _first_line(error)
    raise SpecError(f"{problem} ({reason}); {advice}")


def read_xml(path: Path, advice: str, start: Callable[[str, dict[str, str]], None], limit: int = JSON_BYTES) -> None:
    """Call ``start`` with the tag and the attributes of each element of an XML file, in their order.

    Raises FormatError for a file that is missing, too large, no XML in UTF-8, or has a document type: a few lines of
    its entities stand for gigabytes.
    """
    problem = f"'{path}' is damaged"
    text = _text(path, limit, FormatError, problem, advice)

    def refuse(*_: object) -> None:
        raise FormatError(f"{problem} (it has a document type); {advice}")

    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as reason:
        raise FormatError(f"{problem} ({_first_line(reason)}); {advice}") from reason


def require_format(content: Any, path: Path, newest: int) -> None:
    """Raise FormatError for content that a newer version wrote; what names no format is for its model to judge."""
    version = content.get("format") if isinstance(content, Mapping) else None
    if isinstance(version, int) and version > newest:
        raise FormatError(f"'{path}' has format {version}; this version reads up to {newest}. Upgrade wilss")


def checked(model: type[Model], content: Any, path: Path, advice: str, fault: str = "is damaged") -> Model:
    """Validate the content of a file. Raises FormatError that names the file, its first bad key, and the value seen."""
    strict = model.model_config.get("strict")  # strictly speaking a list is a tuple only in JSON
    try:
        return model.model_validate_json(json.dumps(content)) if strict else model.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        value = "" if first["type"] == "missing" else f" is {first['input']!r:.60}"
        named, rule = f": '{key:.60}'{value}" if key else "", first["msg"].removeprefix("Value error, ")
        raise FormatError(f"'{path}' {fault}{named} ({rule:.300}); {advice}") from error


def _text(path: Path, limit: int, error: type[WilssError], problem: str, advice: str) -> str:
    try:
        with path.open("rb") as handle:
            content = handle.read(limit + 1)
        text = content.decode()
    except OSError as reason:
        raise error(f"{problem} ({reason.strerror}); {advice}") from reason
    except UnicodeDecodeError as reason:
        what = "it is UTF-16; save it as UTF-8" if content[:2] in UTF16 else str(reason)
        raise error(f"{problem} ({what}); {advice}") from reason
    if len(content) > limit:
        raise error(f"{problem} (it is larger than {limit} bytes); {advice}")
    return text


def _is_shallow(content: Any) -> bool:
    """Whether no value lies deeper than `DEPTH`; level by level, as recursion is what a deep file is made to break."""
    level = [content]
    for _ in range(DEPTH + 1):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
            if isinstance(inner, dict | list)
        ]
        if not level:
            return True
    return False


def _refused(text: str) -> str:
    """Why a YAML text is not read, "" for one that is; nothing is built of it."""
    opened: list[_Collection] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if getattr(event, "anchor", None) is not None:
            return "it has an anchor or an alias"
        if getattr(event, "tag", None) is not None:
            return f"it has the tag '{event.tag:.40}'"
        if isinstance(event, yaml.NodeEvent) and opened and opened[-1].has(event):
            return f"it has the key '{event.value:.60}' twice, the second time in line {event.start_mark.line + 1}"
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append(_Collection(isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.CollectionEndEvent):
            opened.pop()
        if len(opened) > DEPTH:
            return f"it is nested deeper than {DEPTH}"
    return ""


@dataclass
class _Collection:
    """A list, or a mapping, whose nodes are keys and values by turns, while it is read."""

    mapping: bool
    keys: set[str] = field(default_factory=set)
    at_key: bool = True

    def has(self, node: yaml.NodeEvent) -> bool:
        """Take the next node; whether it is a key that came before."""
        is_key, self.at_key = self.mapping and self.at_key, not self.at_key
        if not is_key or not isinstance(node, yaml.ScalarEvent):
            return False
        known = node.value in self.keys
        self.keys.add(node.value)
        return known


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
