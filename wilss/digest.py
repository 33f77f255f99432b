"""Digests: the same facts give the same name, on any machine."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

ALGORITHM_VERSION = 3
"""Raised whenever the same specification computes other results."""

FEWSHOT_VERSION = 1
"""The same of few-shot specifications alone, which keeps what incremental runs have computed."""


def code_version(version: int, source: str = "") -> dict[str, int | str]:
    """Facts on one method's, head's, scorer's, grouper's or source's own code; none for the first version of ours.

    Raise its ``version`` when it computes other results from the same settings: what others have computed stays.

    Args:
        source: SHA-256 of the user's file that it comes from, "" for ours.
    """
    number: dict[str, int | str] = {} if version == 1 else {"code": version}
    return {**number, "source": source} if source else number


def hasher(version: int) -> hashlib._Hash:
    """A SHA-256 that begins with `code_version`."""
    return hashlib.sha256(b"" if version == 1 else f"code {version}\n".encode())


def canonical_json(facts: Any) -> str:
    """JSON with sorted keys and no spaces. Raises TypeError for anything that is not plain data."""
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest_of(facts: Any) -> str:
    """First 32 hexadecimal digits of the SHA-256 of the canonical JSON of ``facts``."""
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal; a file is read again when its size or time of change is another."""
    facts = path.stat()
    return _file_digest(path, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=1 << 17)
def _file_digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
