"""A review as one file, with its masks, for another machine: JSON lines, which may come from anybody.

The first line is a header, then come the masks, then the acts as they stand in the log, seals included.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stores.labels.review.log import sealed, unsealed
from stores.labels.review.masks import FILE_BYTES, decode_mask, mask_path
from stores.labels.review.merge import Merged, merge_acts
from stores.labels.review.review import Review
from stores.labels.review.rows import SetRows
from stores.labels.review.state import MASK, Act
from wilss.errors import DataError, FormatError
from wilss.outputs import require_free, whole_file
from wilss.outside import parse_json, require_format

FORMAT = 1
MOST_BYTES = 1 << 30
LINE_BYTES = 64 << 20
AHEAD = timedelta(days=1)
"""How far the clock of another machine may be ahead."""
ADVICE = "write it with 'wilss labels review SET --export FILE'"

_Coded = tuple[bytes, tuple[int, int]]
"""A mask's PNG file, height and width."""


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    wilss: Literal["review"]
    format: int
    label_set: str = Field(pattern="^[0-9A-Za-z]{1,64}$")


@dataclass(frozen=True)
class Exported:
    """What a file holds."""

    acts: int
    masks: int


def export_review(review: Review, digest: str, path: Path, replace: bool = False) -> Exported:
    """Write a review with its masks into one file. Raises SpecError where the file is there already."""
    require_free([path], replace)
    acts = list(review.acts)
    masks = sorted({state.mask for act in acts for c in act.changes for state in (c.before, c.after) if state.mask})
    with whole_file(path) as partial, partial.open("wb") as handle:
        header = {"wilss": "review", "format": FORMAT, "label_set": digest}
        handle.write(json.dumps(header).encode() + b"\n")
        for name in masks:
            review.mask(name)  # raises for a damaged one
            content = base64.b64encode(mask_path(review.folder, name).read_bytes()).decode()
            handle.write(json.dumps({"mask": name, "png": content}).encode() + b"\n")
        seal = ""
        for act in acts:
            line, act = sealed(act, seal)
            seal = act.seal
            handle.write(line)
    return Exported(len(acts), len(masks))


def import_review(review: Review, digest: str, rows: SetRows, path: Path) -> Merged:
    """Merge a file into a review; it is read as a whole before anything is written.

    Raises FormatError for a file that no export wrote or that is larger than one may be, DataError for one of another
    label set, and for rows or sizes that the set does not have.
    """
    side = rows.labels.index.canvas
    acts, masks = _read(path, digest, side)
    if odd := rows.unlike(acts, {name: size for name, (_, size) in masks.items()}):
        raise DataError(f"'{path}' {odd}; {ADVICE} of this set")
    wanted = {change.after.mask for act in acts for change in act.changes} - {""}
    for name in sorted(wanted):
        review.put_mask(decode_mask(masks[name][0], name, side))
    return merge_acts(review, acts)


def _read(path: Path, digest: str, side: int) -> tuple[list[Act], dict[str, _Coded]]:
    acts: list[Act] = []
    masks: dict[str, _Coded] = {}
    seal, header = "", None
    for number, line in enumerate(_lines(path), start=1):
        try:
            if header is None:
                header = _header(line, path, digest)
            elif line.startswith(b'{"mask"'):
                name, coded = _mask(line, side)
                masks[name] = coded
            else:
                acts.append(act := _act(line, seal, len(acts) + 1))
                seal = act.seal
        except FormatError as error:
            raise FormatError(f"'{path}' is no review that was exported (line {number}: {error}); {ADVICE}") from error
    missing = {change.after.mask for act in acts for change in act.changes} - {"", *masks}
    if header is None or missing:
        lacks = f"it lacks the mask {min(missing)}" if missing else "it is empty"
        raise FormatError(f"'{path}' is no review that was exported ({lacks}); {ADVICE}")
    return acts, masks


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as handle:
            read = 0
            while line := handle.readline(LINE_BYTES + 1):
                read += len(line)
                if len(line) > LINE_BYTES or read > MOST_BYTES:
                    raise FormatError(
                        f"'{path}' is larger than {MOST_BYTES} bytes, or a line of it is than {LINE_BYTES}"
                    )
                yield line
    except OSError as error:
        raise FormatError(f"'{path}' cannot be read ({error.strerror}); name the file of an export") from error


def _header(line: bytes, path: Path, digest: str) -> _Header:
    content = _parsed(line)
    require_format(content, path, FORMAT)
    try:
        header = _Header.model_validate(content)
    except ValidationError as error:
        raise FormatError("it is no header of a review") from error
    if header.label_set != digest:
        raise DataError(
            f"'{path}' reviews label set {header.label_set[:12]}, not {digest[:12]}; import it there, and carry "
            f"on what still holds with 'wilss labels review {digest[:12]} --from {header.label_set[:12]}'"
        )
    return header


def _mask(line: bytes, side: int) -> tuple[str, _Coded]:
    told = _parsed(line)
    name, png = (told.get(key) if isinstance(told, dict) else None for key in ("mask", "png"))
    if not isinstance(name, str) or not MASK.fullmatch(name) or not isinstance(png, str) or len(png) > 2 * FILE_BYTES:
        raise FormatError("it is no mask")
    try:
        content = base64.b64decode(png, validate=True)
    except binascii.Error as error:
        raise FormatError(f"it is no mask ({error})") from error
    height, width = decode_mask(content, name, side).shape
    return name, (content, (height, width))


def _act(line: bytes, seal: str, n: int) -> Act:
    act = unsealed(line, seal)
    if act.n != n:
        raise FormatError(f"it is act {act.n}, expected is act {n}")
    if datetime.fromisoformat(act.when) > datetime.now(UTC) + AHEAD:
        raise FormatError(f"it is of {act.when[:10]}, which is to come; set the clocks of the machines")
    return act


def _parsed(line: bytes) -> Any:
    return parse_json(line.decode("utf-8", "replace"), "it is no JSON", ADVICE)
