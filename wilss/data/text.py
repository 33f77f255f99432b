"""Text files as people's programs write them: one decoder for lists and tables. No torch."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from wilss.data.places.place import DISK, Place
from wilss.errors import DataError, DataNotFoundError

MOST_BYTES = 512 << 20
"""A table of ten million images has less."""
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
OTHERS = {
    b"PK\x03\x04": "a spreadsheet or archive",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
    b"%PDF": "a PDF",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"\x1f\x8b": "a compressed file",
}
"""First bytes of files that are given for text by mistake."""
SAVE = "save it as UTF-8"


@dataclass(frozen=True)
class Text:
    """A decoded file whose lines end as Unix ends them. encoding: that it was read in."""

    content: str
    encoding: str

    @property
    def doubt(self) -> str:
        """What to add to a message about a name that is not known; "" where the encoding is certain."""
        return f" (the file is no UTF-8 and was read as {self.encoding}; {SAVE})" if self.encoding == "cp1252" else ""


def read_text(path: Path, place: Place = DISK) -> Text:
    """Decode a text file: by its byte-order mark, else UTF-8, UTF-16 where every second byte is zero, else cp1252.

    Args:
        place: where it lies.

    Raises DataNotFoundError where there is no file, DataError for a file that is none of these, or far too large.
    """
    held = place.held(path)
    content = _content(path) if held is None else held
    for start, kind in OTHERS.items():
        if content.startswith(start):
            raise DataError(f"'{path}' is {kind} and no text; export it as CSV or plain text in UTF-8")
    text = _decoded(path, content)
    if (at := text.content.find("\0")) >= 0:
        line = text.content.count("\n", 0, at) + 1
        raise DataError(f"'{path}:{line}' holds a zero byte, so the file is damaged or no text; {SAVE}")
    return text


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            content = handle.read(MOST_BYTES + 1)
    except OSError as error:
        what = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise DataNotFoundError(f"'{path}' {what}; give a text file") from error
    if len(content) > MOST_BYTES:
        raise DataError(f"'{path}' is larger than {MOST_BYTES >> 20} MiB; give a list or table of images")
    return content


def _decoded(path: Path, content: bytes) -> Text:
    named = next((encoding for mark, encoding in MARKS if content.startswith(mark)), None)
    tried = (named,) if named else (*_wide(content), "utf-8", "cp1252")
    for encoding in tried:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return Text(text.replace("\r\n", "\n").replace("\r", "\n"), encoding)
    raise DataError(f"'{path}' is no text in {' or '.join(tried)}; {SAVE}")


def _wide(content: bytes) -> tuple[str, ...]:
    """UTF-16 without a mark, as some programs write it: of Latin text every second byte is zero."""
    start = content[:1000]
    if len(start) < 4 or start.count(0) < len(start) // 3:
        return ()
    return ("utf-16-le",) if start[1::2].count(0) > start[::2].count(0) else ("utf-16-be",)
