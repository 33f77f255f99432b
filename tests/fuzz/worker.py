"""Tries the cases whose numbers come on standard input, one process for many; answers one line of JSON a case."""

from __future__ import annotations

import contextlib
import io
import json
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.fuzz.formats import FORMATS, Command, Examples

MEMORY = 6 << 30
"""Address space that a case may take beyond what the process has when it starts."""

MORE_CODES = {"predict": (3,)}
"""Command -> exit codes that it has beyond 0, 1 and 2; 3: some images cannot be read, and the rest is done."""


def main() -> None:
    """``python -m tests.fuzz.worker EXAMPLES SEED``."""
    examples, seed = Examples(Path(sys.argv[1])), int(sys.argv[2])
    call(("--version",))
    import wilss.api  # noqa: F401  what is loaded now is not counted later

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.RLIM_INFINITY))
    names = list(FORMATS)
    for line in sys.stdin:
        number = int(line)
        with tempfile.TemporaryDirectory() as folder:
            start, before = time.monotonic(), _peak()
            commands = FORMATS[names[number % len(names)]](examples, Path(folder), random.Random(f"{seed} {number}"))
            told = [problem for command in commands if (problem := call(command))]
            facts = {"seconds": time.monotonic() - start, "memory": _peak() - before, "problems": told}
            shutil.rmtree(folder, ignore_errors=True)
            Path(folder).mkdir()
        print(json.dumps({"case": number, "format": names[number % len(names)], **facts}), flush=True)


def call(command: Command) -> str:
    """What is wrong with how a command ends; "" for an end of the kind that people are owed."""
    from flows import cli

    sys.argv = ["wilss", *command]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            _episodes(Path(command[1])) if command[0] == "fuzz-episodes" else cli.call()
    except SystemExit as stop:
        silent = stop.code and not said.getvalue().strip() and command[0] != "data"
        wrong = silent or stop.code not in (None, 0, 1, 2, *MORE_CODES.get(command[0], ()))
        return f"{' '.join(command)[:200]}: exit {stop.code}, said {said.getvalue()[-200:]!r}" if wrong else ""
    except BaseException:
        return f"{' '.join(command)[:200]}: {traceback.format_exc()[-1500:]}"
    return ""


def _episodes(folder: Path) -> None:
    """Read supports and queries as few-shot training and scoring do."""
    import torch

    from wilss.data.voc import VocSource
    from wilss.errors import WilssError
    from wilss.fewshot.episodes.batches import evaluation_batch
    from wilss.fewshot.episodes.draw import Episode

    try:
        source = VocSource(folder, "train_aug", "dev")
        ids = source.ids("train")
        drawn = [Episode(ids[k], 1 if k % 2 else 16, (ids[(k + 2) % len(ids)],)) for k in range(len(ids))]
        evaluation_batch(source, drawn, 65, False, torch.device("cpu"), ())
    except WilssError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


if __name__ == "__main__":
    main()
