"""One process of a training on several devices, as `wilss.parallel.launch` starts it: python -m wilss.parallel.process.

It reads what to do, one line of JSON, from its standard input, and tells how it goes, lines of JSON, on its standard
output. When its input ends, whoever started it is gone, and it ends at once: no orphan keeps a device.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from threading import Lock, Thread
from types import TracebackType
from typing import Any, BinaryIO

import torch
import torch.distributed as dist
from pydantic import BaseModel, ConfigDict

from wilss.device import memory_advice, require_device
from wilss.errors import DamagedArtefactError, WilssError
from wilss.parallel.ranks import Ranks, joined

LOOPBACK = "127.0.0.1"
PATIENCE = timedelta(minutes=30)
"""That processes wait for each other: one may read slow files while the others have theirs."""
ENDED_WITH_ITS_PARENT = 75


class Order(BaseModel):
    """What a process is told to do.

    work: "module:function", which is called with ``arguments`` and `Telling`. device: its own. port: of the meeting
    place on the loopback interface.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    work: str
    arguments: dict[str, Any]
    rank: int
    count: int
    device: str
    port: int


class Telling:
    """What a process tells whoever started it; of the ranks but the first, only how they ended is heard.

    device: that this process computes on.
    """

    device = "cpu"

    def __init__(self, to: BinaryIO) -> None:
        self._to, self._lock = to, Lock()

    def tell(self, kind: str, content: Any) -> None:
        """Send plain data. Ends this process where nobody listens any more."""
        try:
            with self._lock:
                self._to.write(json.dumps([kind, content]).encode() + b"\n")
                self._to.flush()
        except BrokenPipeError:
            os._exit(ENDED_WITH_ITS_PARENT)

    def say(self, text: str) -> None:
        """A line for people."""
        self.tell("said", [text])

    def progress(self, stage: str, done: int, total: int, loss: float) -> None:
        """See `wilss.progress.Progress`."""
        self.tell("moved", [stage, done, total, loss])


def main() -> None:
    """Do what is asked for. An error, whatever it is, is heard by whoever started this process."""
    telling = _taken_output()
    sys.excepthook = partial(_tell_error, telling)
    order = Order.model_validate_json(sys.stdin.buffer.readline())
    telling.device = order.device
    Thread(target=_end_with_parent, daemon=True).start()
    warnings.filterwarnings("ignore", "find_unused_parameters=True was specified")  # other epochs may leave some out
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")  # of 1x1 kernels: both are one
    with _group(order):
        telling.tell("result", _function(order.work)(order.arguments, telling))


def _tell_error(telling: Telling, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Instead of Python's own hook, before it ends with exit code 1."""
    if isinstance(error, Exception):
        telling.tell("error", told(error))
    if not isinstance(error, WilssError):
        sys.__excepthook__(kind, error, trace)


def told(error: Exception) -> dict[str, Any]:
    """An error as plain data, see `wilss.parallel.launch`."""
    content: dict[str, Any] = {"kind": type(error).__name__, "text": str(error), "ours": isinstance(error, WilssError)}
    if isinstance(error, DamagedArtefactError):
        content["damage"] = [error.fault, error.cure, str(error.folder), error.file]
    elif isinstance(error, RuntimeError) and memory_advice(error):
        content["kind"] = "OutOfMemoryError"
    elif isinstance(error, OSError) and error.errno:
        content["system"] = [error.errno, error.strerror, str(error.filename or "")]
    return content


def _taken_output() -> Telling:
    """Standard output for what is told alone: what else is printed goes to standard error."""
    kept = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return Telling(kept)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(ENDED_WITH_ITS_PARENT)


@contextmanager
def _group(order: Order) -> Iterator[None]:
    """Be one of the processes of torch.distributed inside."""
    device = require_device(order.device)
    if loopback := next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), None):
        os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = loopback  # no port to other machines
    if device.type == "cuda":
        torch.cuda.set_device(device)
    store = dist.TCPStore(LOOPBACK, order.port, order.count, is_master=False, timeout=PATIENCE)  # type: ignore[attr-defined]
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=order.rank, world_size=order.count, timeout=PATIENCE)
    with joined(Ranks(order.rank, order.count)):
        yield
    dist.destroy_process_group()


def _function(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


if __name__ == "__main__":
    main()
