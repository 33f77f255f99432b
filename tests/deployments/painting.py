"""A small label set behind the inspector, for painting: three images of two classes, pictures made of nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import uvicorn
from PIL import Image

from deployments.access import Access
from deployments.inspector.app import create_app
from deployments.inspector.desk import Desk
from deployments.inspector.lineage import Lineage
from deployments.inspector.pictures import Problem, Want
from stores.artefacts import Recipe, Store
from stores.labels.index import LabelIndex
from stores.labels.review import Review, RowState
from stores.labels.writer import LabelWriter, ShardRows
from wilss.measure.columns import COLUMNS

CLASSES = ("cat", "dog")
TAGS = np.array([[1, 1], [1, 0], [0, 1]], bool)
IDS = ("both", "one cat", "one dog")


def publish(root: Path, side: int = 32, size: tuple[int, int] = (20, 30)) -> str:
    """A set whose images have this (height, width) on the canvas; row k has its first k + 1 lines. Its digest."""
    recipe, of = Recipe("labels", {"side": side}, {}), LabelIndex(IDS, CLASSES, TAGS, side, (4, 4), ("final",))
    dense = np.zeros((of.n_rows, side, side), np.uint8)
    for row in range(of.n_rows):
        dense[row, : row + 1, : size[1]] = 1
    sizes = np.tile(np.array([*size, *size], np.uint32), (len(IDS), 1))
    numbers = np.full((of.n_rows, len(COLUMNS)), np.nan, np.float32)
    store = Store(root)
    with store.build(recipe) as folder:
        rows = ShardRows({"final": np.packbits(dense, -1)}, None, numbers, sizes, sizes)
        LabelWriter.begin(folder, of).write(0, rows)
        store.publish(recipe, folder, {"rows": of.n_rows}, {"format": 2, "spec": {}, "class_ids": [1, 2]})
    return recipe.digest


class Drawn:
    """Pictures that need no data: one colour, and an affinity that falls from left to right in steps of 8."""

    def __init__(self, folder: Path, size: tuple[int, int] = (20, 30)) -> None:
        self.folder, self.size = folder, size
        self.wanted: list[Want] = []

    async def path(self, want: Want) -> Path | Problem:
        self.wanted.append(want)
        if want.kind not in ("image", "thumb", "affinity"):
            return Problem("it is not known")
        shown = np.full(self.size, 90, np.uint8)
        if want.kind == "affinity":
            shown = np.tile((255 - 8 * np.arange(self.size[1])).clip(0), (self.size[0], 1)).astype(np.uint8)
        path = self.folder / f"{want.kind}.png"
        Image.fromarray(shown).save(path)
        return path

    async def close(self) -> None:
        """Nothing is open."""


def desk_over(root: Path, pictures: Drawn) -> Desk:
    return Desk(root, Access(), pictures, "ada", Lineage(root))  # type: ignore[arg-type]


@contextmanager
def served(desk: Desk) -> Iterator[str]:
    """The address of a real server in a thread."""
    server = uvicorn.Server(uvicorn.Config(create_app(desk), port=0, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(5)


def state(root: Path, digest: str, image: str, name: str) -> tuple[RowState, int]:
    """What is said of a row, and its version."""
    review = Review.open(root, digest)
    return review.state(image, name), review.version(image, name)
