"""Episodes frozen in a JSON file, so that every method is scored on the same ones; and the rules that a file obeys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from wilss.damage import MEND, advice, is_stored, read_stored_json, reading
from wilss.data.source import Split
from wilss.errors import DataError, DataNotFoundError, FormatError, SpecError
from wilss.fewshot.episodes.draw import Episode, Rule, Sampler
from wilss.fewshot.episodes.folds import Fold, NameTable, Variant, fold_of
from wilss.fewshot.episodes.lists import ListKind
from wilss.layout import AGAIN
from wilss.outputs import whole_file
from wilss.outside import checked

FORMAT: Literal["wilss-episodes-2"] = "wilss-episodes-2"


class EpisodeFile(BaseModel):
    """Frozen episodes and all that made them; every method is scored on the same file.

    fingerprint: digest of the data (`wilss.data.source.Source.fingerprint`). lists: whether images of
    classes held out were left out of the list. The other fields are those of `Fold`, `EpisodeList` and `Sampler`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal["wilss-episodes-2"] = FORMAT
    benchmark: str
    fold: int
    variant: Variant
    table: NameTable
    split: Split
    lists: ListKind
    rule: Rule
    shots: int = Field(ge=1)
    seed: int = Field(ge=0)
    min_area: int = Field(ge=1)
    fingerprint: str
    episodes: tuple[Episode, ...] = Field(min_length=1)

    def of_fold(self) -> Fold:
        """The fold that the file names. Raises SpecError when there is none of that name."""
        return fold_of(self.benchmark, self.fold, self.variant, self.table)


def freeze_episodes(
    sampler: Sampler, count: int, fold: Fold, split: Split, fingerprint: str, lists: ListKind | None = None
) -> EpisodeFile:
    """The first ``count`` episodes of a sampler, with all that made them.

    Args:
        lists: the kind of list that the sampler must have; None takes what it has.

    Raises SpecError for no episode, or a list of another kind or not about the classes of this fold and split.
    """
    kind: ListKind = "filtered" if sampler.lists.dropped else "unfiltered"
    if lists not in (None, kind):
        raise SpecError(f"the sampler draws from a list that is {kind}, asked for is {lists}; build that list")
    if count < 1:
        raise SpecError(f"{count} episodes cannot be frozen; ask for at least one")
    if sampler.lists.wanted != fold.wanted(split):
        raise SpecError(f"the list holds classes {sampler.lists.wanted}, {fold.describe()} has {fold.wanted(split)}")
    return EpisodeFile(
        **{key: getattr(fold, key) for key in ("benchmark", "fold", "variant", "table")},
        **{key: getattr(sampler, key) for key in ("rule", "shots", "seed")},
        split=split,
        lists=kind,
        min_area=sampler.lists.min_area,
        fingerprint=fingerprint,
        episodes=tuple(sampler.episode(index) for index in range(count)),
    )


def write_episodes(file: EpisodeFile, path: Path) -> None:
    """Write a file as JSON, all or nothing. Raises as `check_episodes` does."""
    check_episodes(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        partial.write_text(file.model_dump_json() + "\n", encoding="utf-8")


def read_episodes(
    path: Path, fold: Fold | None = None, fingerprint: str | None = None, ids: Sequence[str] | None = None
) -> EpisodeFile:
    """Read frozen episodes.

    Args:
        fold: what the file must be about. fingerprint: of the data at hand; what the file must have been drawn from.
        ids: images of the split; what its episodes may name.

    Raises DataNotFoundError where there is no file, FormatError for one that cannot be read, SpecError for another
    fold, DataError for other data or episodes that break the rules (`check_episodes`).
    """
    if not is_stored(path):
        raise DataNotFoundError(f"episode file '{path}' does not exist; freeze the episodes first")
    file = _parse(path)
    if fold is not None and file.of_fold() != fold:
        raise SpecError(
            f"'{path}' holds episodes of {file.of_fold().describe()}, asked for is {fold.describe()}; choose its file"
        )
    if fingerprint is not None and file.fingerprint != fingerprint:
        raise DataError(
            f"'{path}' was drawn from data of fingerprint {file.fingerprint}, these have {fingerprint}; use the data "
            f"it was drawn from, or {AGAIN}"
        )
    check_episodes(file, ids, f"'{path}', ")
    return file


def check_episodes(file: EpisodeFile, ids: Sequence[str] | None = None, where: str = "") -> None:
    """Hold every episode against the rules.

    Args:
        ids: all images of the split. Labels are looked at when an episode is read (`wilss.fewshot.episodes.batches`).
        where: beginning of the messages.

    Raises DataError naming the episode: query among its supports, a number of supports other than K, one that comes
    twice, a class of another fold, an unknown image.
    """
    wanted = file.of_fold().wanted(file.split)
    known = None if ids is None else frozenset(ids)
    for number, episode in enumerate(file.episodes):
        problem = _problem(episode, file, wanted) or (_unknown(episode, known) if known is not None else "")
        if problem:
            raise DataError(f"{where}episode {number}: {problem}; {AGAIN}")


def _problem(episode: Episode, file: EpisodeFile, wanted: tuple[int, ...]) -> str:
    if episode.query in episode.supports:
        return f"query '{episode.query}' is its own support; supports are other images"
    if len(episode.supports) != file.shots:
        return f"it has {len(episode.supports)} supports; the file is about {file.shots} shots"
    if file.rule != "class" and len(set(episode.supports)) < len(episode.supports):
        return "a support comes twice; the file's rule draws distinct ones"
    if episode.class_id not in wanted:
        return f"class {episode.class_id} is none of {file.of_fold().describe()} in split '{file.split}': {wanted}"
    return ""


def _unknown(episode: Episode, known: frozenset[str]) -> str:
    odd = [image_id for image_id in (episode.query, *episode.supports) if image_id not in known]
    return f"image '{odd[0]}' is not among the {len(known)} images of the data" if odd else ""


def _parse(path: Path) -> EpisodeFile:
    content = read_stored_json(path)
    found = content.get("format") if isinstance(content, dict) else None
    if found != FORMAT:
        cure = advice(path.parent)
        raise FormatError(f"'{path}' has the format {found!r:.60}, this version reads '{FORMAT}'; {cure}")
    with reading(path.parent, path.name):
        return checked(EpisodeFile, content, path, MEND)
