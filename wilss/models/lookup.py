"""Which folder a model's name means: a path, a run's folder, or a digest under a root. Imports no torch."""

from __future__ import annotations

import re
from pathlib import Path

from wilss.errors import ArtefactNotFoundError
from wilss.layout import KINDS, find_artefact, published
from wilss.report.records import RunReport

REPORT = "report.json"
STUDENT = re.compile(r"checkpoint (\d{1,4})", re.ASCII)
"""What a run's plan calls the student of a step."""


def model_folder(name: str | Path, root: Path) -> Path:
    """The folder of a student.

    Args:
        name: its folder; the folder of a run, for the student of its last step; or (the first digits of) a digest.

    Raises ArtefactNotFoundError for none of them, and for another artefact.
    """
    path = Path(name)
    if (path / REPORT).is_file():
        return _of_run(path)
    if path.is_dir():
        return path
    digest = str(name)
    if not digest.isalnum():
        raise ArtefactNotFoundError(f"there is no folder '{name}'; name a student's folder, a run's, or a digest")
    found = {kind: published(root, kind, digest) for kind in KINDS}
    other = next((kind for kind, folders in found.items() if folders), None)
    if other and not found["checkpoints"]:
        raise ArtefactNotFoundError(
            f"'{digest}' is one of the {other} in '{root}', no student; name one of checkpoints"
        )
    return find_artefact(root, "checkpoints", digest)


def _of_run(run: Path) -> Path:
    artefacts = RunReport.read(run / REPORT).artefacts
    students = {int(found[1]): digest for node, digest in artefacts.items() if (found := STUDENT.fullmatch(node))}
    if not students:
        raise ArtefactNotFoundError(f"the report of '{run}' names no student; name its folder or digest")
    return find_artefact(run.resolve().parent.parent, "checkpoints", students[max(students)])
