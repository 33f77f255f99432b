"""The student that is served, and the next one: an alias is followed, and the old one stays until the new one sees."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch

from stores.models.smoke import require_sight
from stores.progress import say
from wilss.aliases import FORM, MOVES, Move, after, aliases_folder, digest_of_alias, unknown
from wilss.device import memory_advice, require_device
from wilss.errors import WilssError
from wilss.layout import artefact_folder, is_published
from wilss.models.card import model_files
from wilss.models.lookup import model_folder
from wilss.models.model import Model
from wilss.sealed import SealedLines

RETRY = 30.0
"""Seconds until a model that could not be loaded is tried again."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A student that has segmented an image.

    digest: of its artefact, which an exported folder tells too, else of its files. alias: that it was found by.
    alike: count, shape and strides of images -> whether so many come out of one pass as each of them does alone.
    """

    model: Model
    digest: str
    alias: str | None = None
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    alike: dict[tuple[int, ...], bool] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, folder: Path, device: torch.device, alias: str | None = None) -> Loaded:
        """Load and try one. Raises FormatError for what cannot be loaded or used, ArtefactNotFoundError for none."""
        model = Model.open(folder, device)
        require_sight(model, folder)
        return cls(model, model.digest or digest_of_files(folder), alias)


def digest_of_files(folder: Path) -> str:
    """The digest of a student's card and weights."""
    files, found = model_files(folder), hashlib.sha256()
    for path in (files.card, files.weights):
        found.update(path.read_bytes())
    return found.hexdigest()[:32]


class Models:
    """Which student answers now.

    current: set in one step, whoever holds the one before ends with it. problem: why the alias is not followed, "" for
    no reason. told: called with what is loaded, and with what cannot be (None).
    """

    def __init__(self, name: str, root: Path, device: str, told: Callable[[Loaded | None], None]) -> None:
        self.name, self.root, self.problem = name, root, ""
        self._device, self._told = require_device(device), told
        alias = name if digest_of_alias(name, root) else None
        self._log: SealedLines[Move] = SealedLines(aliases_folder(root), MOVES, FORM)
        self._moves: tuple[Move, ...] = ()
        self._refused, self._again = "", 0.0
        self._loader = ThreadPoolExecutor(1, "loader")
        self.current = Loaded.of(model_folder(name, root), self._device, alias)
        told(self.current)

    @property
    def is_followed(self) -> bool:
        """Whether an alias was named, which may move."""
        return self.current.alias is not None

    async def follow(self, seconds: float) -> None:
        """Look at the alias for ever; a model is loaded in a thread of its own, beside the one that answers."""
        while self.is_followed:
            await asyncio.sleep(seconds)
            looking = asyncio.get_running_loop().run_in_executor(self._loader, self._next)
            await asyncio.wait([looking])  # raises nothing: whatever went wrong, the old one stays
            if (error := looking.exception()) is not None:
                self._refuse(error)
            elif (found := looking.result()) is not None:
                self._take(found)

    def close(self) -> None:
        """Load no more."""
        self._loader.shutdown(wait=False, cancel_futures=True)

    def _next(self) -> Loaded | None:
        """What the alias points to, loaded; None where nothing is to be done. Raises what `Loaded.of` does."""
        alias = self.current.alias
        assert alias is not None
        digest = self._pointed(alias)
        if digest == self.current.digest:
            self._settled()
            return None
        if digest == self._refused and time.monotonic() < self._again:
            return None
        self._refused, self._again = digest, time.monotonic() + RETRY
        say(f"'{alias}' points to {digest[:12]} by now; it is loaded beside {self.current.digest[:12]}")
        is_published(self.root, "checkpoints", digest)  # which brings it, where the root is a bucket
        return Loaded.of(artefact_folder(self.root, "checkpoints", digest), self._device, alias)

    def _pointed(self, alias: str) -> str:
        anew, entries = self._log.news()
        self._moves = tuple(entries) if anew else (*self._moves, *entries)
        digest = after(self._moves).get(alias)
        if digest is None:
            raise unknown(alias, self.root)
        return digest

    def _settled(self) -> None:
        if self.problem:
            say(f"'{self.current.alias}' is followed again: it points to {self.current.digest[:12]}, which answers")
        self.problem, self._refused = "", ""

    def _take(self, found: Loaded) -> None:
        self.current, self.problem, self._refused = found, "", ""
        self._told(found)
        say(f"'{found.alias}' is {found.digest[:12]} from now on: {len(found.model.card.classes)} classes")

    def _refuse(self, error: BaseException) -> None:
        said = _sentence(error)
        if said != self.problem:
            self.problem = said
            self._told(None)
            say(f"{said}; {self.current.digest[:12]} goes on answering")


def _sentence(error: BaseException) -> str:
    advice = memory_advice(error) if isinstance(error, RuntimeError) and not isinstance(error, WilssError) else None
    return advice or str(error) if isinstance(error, WilssError) or advice else f"{type(error).__name__}: {error}"
