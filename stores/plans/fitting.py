"""Canvas, crop and batch of a run whose specification leaves them to the data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from stores.plans.session import Session
from wilss.data.fit import Fit, at_canvas, fitted, sizes_of, told
from wilss.data.source import Source
from wilss.errors import DataError
from wilss.models.card import StudentCard
from wilss.spec import RunSpec


def with_fitting_sizes(
    spec: RunSpec,
    session: Session,
    source: Source,
    masked: tuple[Sequence[str], Sequence[int]],
    card: StudentCard | None,
) -> RunSpec:
    """The specification with sizes that suit the data, which are said once.

    Args:
        masked: ids of step 0's images with masks, and its classes. card: of a student that the run starts from: later
            steps have the canvas that it was trained with.
    """
    usual = Fit(spec.data.canvas, spec.augment.crop, spec.base.batch_size)
    canvas = card.input.canvas if card else None
    key = ("fit", id(source), usual, canvas)
    fit = session.once(key, lambda: at_canvas(usual, canvas) if canvas else _measured(usual, session, source, masked))
    return spec.model_copy(
        update={
            "data": spec.data.model_copy(update={"canvas": fit.canvas, "fit": False}),
            "augment": spec.augment.model_copy(update={"crop": fit.crop}),
            "base": spec.base.model_copy(update={"batch_size": fit.batch}),
            "step": spec.step.model_copy(update={"batch_size": min(spec.step.batch_size, fit.batch)}),
        }
    )


def _measured(usual: Fit, session: Session, source: Source, masked: tuple[Sequence[str], Sequence[int]]) -> Fit:
    if not masked[0]:  # which is refused when the data are looked over
        return usual
    try:
        sizes = sizes_of(source, *masked)
    except DataError:  # said with all that is wrong when the data are looked over
        return usual
    fit = fitted(sizes, usual)
    if why := told(sizes, usual, fit):
        session.once((why, "said"), partial(session.say, why))
    return fit
