"""Guard sets: images that every candidate for an alias is scored on, frozen with the content of their files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from stores.locks import held
from stores.plans.run import Run
from wilss.errors import DataError, SpecError
from wilss.outputs import whole_file
from wilss.report.records import read_sealed, with_seal
from wilss.retrain import MOST_GUARD_IMAGES

FOLDER = "guards"
"""Below the root."""
CURE = "put a copy of the file back, or delete it and freeze the set anew"
SHOWN = 3


class GuardSet(BaseModel):
    """A frozen guard set.

    classes: whose labels were frozen with the images. images: ids, in the order of the data. data: digest of the
    images' files and of their labels of these classes; of data that are known as a whole, theirs. created: UTC, ISO
    8601.
    """

    FORMAT: ClassVar[int] = 1
    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    name: str
    benchmark: str
    created: str
    classes: tuple[str, ...]
    images: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_GUARD_IMAGES)]
    data: str
    seal: str = ""


def frozen_guard(run: Run, step: int, name: str, wanted: Sequence[str] = ()) -> GuardSet:
    """The guard set of a name; it is frozen now where there is none yet.

    Args:
        step: whose classes are frozen with the images, and all before. wanted: ids of its images; without any all
            evaluation images, or those that are frozen.

    Raises DataError where images are no evaluation images, have left the data or were changed since; SpecError where
    others are wanted than are frozen.
    """
    path = run.store.root / FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with held(path.with_suffix(".lock"), None):
        if path.is_file():
            return _same(run, _read(path), wanted)
        guard = with_seal(_freeze(run, step, name, wanted))
        with whole_file(path) as partial:
            partial.write_text(guard.model_dump_json(indent=1), encoding="utf-8")
        run.session.say(f"guard set '{name}': {len(guard.images)} images are frozen from now on")
        return guard


def shown_in(run: Run, guard: GuardSet) -> dict[str, int]:
    """Class -> number of guard images that show it, by their labels."""
    counts = dict.fromkeys(run.source.classes, 0)
    images = set(guard.images)
    for image_id, tags in zip(run.source.ids("eval"), run.source.tags("eval"), strict=True):
        if image_id in images:
            for class_id in tags:
                counts[run.source.classes[class_id - 1]] += 1
    return counts


def _read(path: Path) -> GuardSet:
    return read_sealed(GuardSet, path, GuardSet.FORMAT, CURE)


def _freeze(run: Run, step: int, name: str, wanted: Sequence[str]) -> GuardSet:
    known = run.source.ids("eval")
    if not known:
        raise DataError(
            "these data have no evaluation images, so no model can be held against another; give some a mask and list "
            "them for evaluation (docs/data.md)"
        )
    asked = set(wanted) or set(known)
    _require_there(run, name, [image_id for image_id in dict.fromkeys(wanted) if image_id not in set(known)])
    images, classes = tuple(i for i in known if i in asked), run.class_names(step)
    if len(images) > MOST_GUARD_IMAGES:
        raise SpecError(
            f"guard set '{name}' would have {len(images)} images, at most {MOST_GUARD_IMAGES} are kept by name; name "
            "fewer with --guard FILE"
        )
    return GuardSet(
        name=name,
        benchmark=run.spec.benchmark,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        classes=classes,
        images=images,
        data=_data(run, images, classes),
    )


def _same(run: Run, guard: GuardSet, wanted: Sequence[str]) -> GuardSet:
    if wanted and set(wanted) != set(guard.images):
        raise SpecError(
            f"guard set '{guard.name}' is frozen with {len(guard.images)} images since {guard.created}, not with these "
            f"{len(set(wanted))}; give the new set another name"
        )
    known = set(run.source.ids("eval"))
    _require_there(run, guard.name, [image_id for image_id in guard.images if image_id not in known])
    if odd := [name for name in guard.classes if name not in run.source.classes]:
        raise DataError(
            f"guard set '{guard.name}' was frozen with the class '{odd[0]}', which these data lack; name another set "
            "with --guard"
        )
    if _data(run, guard.images, guard.classes) != guard.data:
        raise DataError(
            f"images, masks or labels of guard set '{guard.name}' were changed since it was frozen on {guard.created}, "
            "so models cannot be held against each other; put them back, or freeze them anew under another name with "
            "--guard"
        )
    return guard


def _require_there(run: Run, name: str, missing: Sequence[str]) -> None:
    if not missing:
        return
    trained = [image_id for image_id in missing if image_id in set(run.source.ids("train"))]
    shown = ", ".join(f"'{image_id:.80}'" for image_id in (trained or missing)[:SHOWN])
    if trained:
        raise DataError(
            f"{len(trained)} images of guard set '{name}' are training images ({shown}); a guard set is of images that "
            "no model learns from"
        )
    raise DataError(
        f"{len(missing)} images of guard set '{name}' are no evaluation images of these data ({shown}); put them back, "
        "or freeze another set under another name with --guard"
    )


def _data(run: Run, images: Sequence[str], classes: Sequence[str]) -> str:
    ids = [run.source.classes.index(name) + 1 for name in classes]
    return run.source.fingerprint_of(images, ids)
