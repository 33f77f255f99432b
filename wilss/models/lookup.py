"""Which folder a model's name means: a path, a run's folder, an alias or a digest under a root. Imports no torch."""

from __future__ import annotations

import re
from pathlib import Path

from wilss.aliases import aliases_of, digest_of_alias, may_be_alias
from wilss.errors import ArtefactNotFoundError, SpecError, did_you_mean
from wilss.layout import KINDS, artefact_folder, find_artefact, published
from wilss.report.records import RunReport

REPORT = "report.json"
STUDENT = re.compile(r"checkpoint (\d{1,4})", re.ASCII)
"""What a run's plan calls the student of a step."""
HEX = frozenset("0123456789abcdefABCDEF")
"""What digests are made of."""


def model_folder(name: str | Path, root: Path) -> Path:
    """The folder of a student.

    Args:
        name: its folder; the folder of a run, for the student of its last step; an alias; or (the first digits of) a
            digest.

    Raises ArtefactNotFoundError for none of them, for another artefact, and for an alias whose model is gone;
    SpecError for what is an alias and a folder.
    """
    path = Path(name)
    aliased = digest_of_alias(str(name), root)
    if aliased and path.is_dir():
        raise SpecError(f"'{name}' is an alias in '{root}' and a folder here; write './{name}' for the folder")
    if aliased:
        return artefact_folder(root, "checkpoints", aliased)
    if (path / REPORT).is_file():
        return _of_run(path)
    if path.is_dir():
        return path
    digest = str(name)
    if not digest.isalnum():
        if may_be_alias(digest):
            raise _nothing_called(digest, root)
        raise ArtefactNotFoundError(
            f"there is no folder '{name}'; name a student's folder, a run's, an alias or a digest"
        )
    found = {kind: published(root, kind, digest) for kind in KINDS}
    other = next((kind for kind, folders in found.items() if folders), None)
    if other and not found["checkpoints"]:
        raise ArtefactNotFoundError(
            f"'{digest}' is one of the {other} in '{root}', no student; name one of checkpoints"
        )
    if not found["checkpoints"] and set(digest) - HEX:
        raise _nothing_called(digest, root)
    return find_artefact(root, "checkpoints", digest)


def _nothing_called(name: str, root: Path) -> ArtefactNotFoundError:
    known = aliases_of(root)
    hint = did_you_mean(name, known) if known else " There are no aliases yet; 'wilss models list' shows digests."
    return ArtefactNotFoundError(f"no model is called '{name}' in '{root}': no folder, alias or digest.{hint}")


def _of_run(run: Path) -> Path:
    artefacts = RunReport.read(run / REPORT).artefacts
    students = {int(found[1]): digest for node, digest in artefacts.items() if (found := STUDENT.fullmatch(node))}
    if not students:
        raise ArtefactNotFoundError(f"the report of '{run}' names no student; name its folder or digest")
    return find_artefact(run.resolve().parent.parent, "checkpoints", students[max(students)])
