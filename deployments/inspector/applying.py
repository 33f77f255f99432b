"""``python -m deployments.inspector.applying ROOT DIGEST``: apply a review, in a process of its own, as it loads torch.

Prints one line of JSON: {"digest": ...} of the reviewed set, or {"problem": ...}.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from wilss.errors import SpecError, WilssError


async def applied(root: Path, digest: str) -> str:
    """Apply the review of a label set; returns the digest of the reviewed one. Raises SpecError with what is wrong."""
    words = [sys.executable, "-m", "deployments.inspector.applying", str(root), digest]
    piped = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.DEVNULL, stdout=piped)
    out, _ = await child.communicate()
    try:
        answer = json.loads(out.decode().splitlines()[-1])
    except (ValueError, IndexError):
        answer = {}
    if isinstance(answer, dict) and answer.get("digest"):
        return str(answer["digest"])
    ended = f"its process ended with {child.returncode}; see what it printed where 'wilss inspect' runs"
    said = answer.get("problem") if isinstance(answer, dict) else None
    raise SpecError(str(said or f"the review of label set {digest[:12]} was not applied ({ended})"))


def main(root: str, digest: str) -> int:
    """Apply, tell the service where one is up, and say in JSON how it went."""
    from flows.events import tell_review
    from stores.artefacts import Store
    from stores.labels.review.apply import apply_review

    try:
        store = Store(Path(root))
        child, _ = apply_review(store, digest)
        tell_review(store.root, store.get("labels", digest).digest, child)
    except WilssError as error:
        print(json.dumps({"problem": str(error)}))
        return 1
    print(json.dumps({"digest": child.digest}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
