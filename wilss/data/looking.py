"""``python -m wilss.data.looking``: looks at the files that it is given, for `wilss.data.ahead`. No torch.

A line of standard input is JSON, ``[KIND, [PATH, ...]]``; the line that answers has the facts of each path by kind.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from wilss.data.looks import facts_of


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        kind, paths = json.loads(line)
        print(json.dumps([facts_of(kind, Path(path)) for path in paths]), flush=True)


if __name__ == "__main__":
    main()
