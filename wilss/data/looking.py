"""``python -m wilss.data.looking``: looks at the files that it is given, for `wilss.data.ahead`. No torch.

A line of standard input is JSON, ``[KIND, [[PATH, FILE, START, SIZE], ...]]``: where the bytes of each path are, as in
`wilss.data.places.place.Part`; the line that answers has the facts of each path by kind.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from wilss.data.looks import facts_of
from wilss.data.places.place import DISK, MOST_BYTES


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        kind, files = json.loads(line)
        print(json.dumps([_facts(kind, *file) for file in files]), flush=True)


def _facts(kind: str, path: str, file: str, start: int, size: int) -> dict[str, str]:
    if size > MOST_BYTES:  # whoever asks for it by itself is told
        return {}
    return facts_of(kind, Path(path), DISK.part(Path(file), start, size) if size >= 0 else None)


if __name__ == "__main__":
    main()
