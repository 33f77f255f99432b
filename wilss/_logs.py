"""Keeping library chatter off the screen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_logs() -> Iterator[None]:
    """No library logs while a model loads; what goes wrong is raised and told in our own words.

    Whoever calls ``logging.info``, as open_clip does, gives a root logger without a handler one that prints all that
    Prefect logs afterwards; meanwhile it has one that prints nothing.
    """
    before, nothing = logging.root.manager.disable, logging.NullHandler()
    logging.disable(logging.ERROR)
    logging.root.addHandler(nothing)
    try:
        yield
    finally:
        logging.root.removeHandler(nothing)
        logging.disable(before)
