"""Write the golden file anew: ``python -m tests.golden.make``. Do so only for a change that says why it has to."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.golden.measure import FILE, digests, losses

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        content = {"digests": digests(Path(folder)), "losses": losses(Path(folder))}
    FILE.write_text(json.dumps(content, indent=1) + "\n")
