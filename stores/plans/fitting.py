"""Canvas, crop and batch of a run whose specification leaves them to the data."""

from __future__ import annotations

from functools import partial

from stores.plans.session import Session
from wilss.data.fit import Fit, at_canvas, fitted, sizes_of, told
from wilss.data.source import Source
from wilss.errors import DataError
from wilss.models.card import StudentCard
from wilss.spec import RunSpec

Masked = tuple[tuple[str, ...], tuple[int, ...]]


def with_fitting_sizes(
    spec: RunSpec,
    session: Session,
    source: Source,
    masked: Masked,
    card: StudentCard | None,
) -> RunSpec:
    """The specification with sizes that suit the data, which are said once.

    Args:
        masked: ids of step 0's images with masks, and its classes. card: of a student that the run starts from: later
            steps have the canvas that it was trained with.
    """
    usual = Fit(spec.data.canvas, spec.augment.crop, spec.base.batch_size)
    canvas = card.input.canvas if card else None
    fit, why = session.once(("fit", id(source), usual, canvas, masked), lambda: _fit(usual, source, masked, canvas))
    if why:
        session.once((why, "said"), partial(session.say, why))
    data, augment = spec.data.model_copy(update={"fit": False}), spec.augment
    if fit == usual:
        return spec.model_copy(update={"data": data})
    share = fit.batch / usual.batch
    return spec.model_copy(
        update={
            "data": data.model_copy(update={"canvas": fit.canvas}),
            "augment": augment.model_copy(update={"crop": fit.crop}),
            "base": spec.base.model_copy(update={"batch_size": fit.batch}),
            "step": spec.step.model_copy(update={"batch_size": max(2, round(share * spec.step.batch_size))}),
        }
    )


def _fit(usual: Fit, source: Source, masked: Masked, canvas: int | None) -> tuple[Fit, str]:
    """The sizes, and a sentence about them where they are not the usual ones."""
    if canvas:
        fit = at_canvas(usual, canvas)
        return fit, told("the student that the run starts from has it", usual, fit)
    if not masked[0]:  # which is refused when the data are looked over
        return usual, ""
    try:
        sizes = sizes_of(source, *masked)
    except DataError:  # said with all that is wrong when the data are looked over
        return usual, ""
    fit = fitted(sizes, usual)
    return fit, told(sizes.reason(usual, fit), usual, fit)
