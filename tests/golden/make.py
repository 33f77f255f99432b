"""Write the golden file anew: ``python -m tests.golden.make``. Do so only for a change that says why it has to.

The losses are those of this processor. Some move with its instruction set, as sums are made in another order and what
is drawn from them multiplies that; how far is measured here, with the instructions of older processors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.golden.measure import FILE, digests, flat, losses

OLDER = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
NOTED = 5e-4
"""Relative; less is not worth a line."""


def main() -> None:
    """Measure, here and as an older processor would."""
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1:] == ["losses"]:
            print(json.dumps(losses(Path(folder))))
            return
        known, found = losses(Path(folder) / "losses"), digests(Path(folder) / "digests")
    command = [sys.executable, "-m", "tests.golden.make", "losses"]
    older = subprocess.run(command, env={**os.environ, **OLDER}, check=True, capture_output=True, text=True).stdout
    spread = {name: _moved(known[name], content) for name, content in json.loads(older.splitlines()[-1]).items()}
    content = {"digests": found, "losses": known, "spread": {name: moved for name, moved in spread.items() if moved}}
    FILE.write_text(json.dumps(content, indent=1) + "\n")


def _moved(one: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    pairs = zip(flat(one["history"]).items(), flat(other["history"]).values(), strict=True)
    moved = {where: abs(a - b) / max(abs(a), abs(b), 1e-5) for (where, a), b in pairs}
    return {where: float(f"{share:.1e}") for where, share in moved.items() if share > NOTED}


if __name__ == "__main__":
    main()
