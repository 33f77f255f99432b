"""The file of a review's acts: sealed lines, one line an act, each on the disk before it is told to be kept."""

from __future__ import annotations

from pathlib import Path

from stores.journal import Journal
from stores.labels.review.state import Act, act_of
from wilss.sealed import Form

ACTS_FILE = "acts.jsonl"


def _cure(folder: Path) -> str:
    return (
        f"put a copy of the file back, or keep what can be read of it with 'wilss store repair'; nobody can write "
        f"to this review before (folder '{folder}')"
    )


ACTS = Form("act", act_of, _cure)


class ActLog(Journal[Act]):
    """The acts of one folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ACTS_FILE, ACTS)


sealed, unsealed = ACTS.seal, ACTS.unseal
