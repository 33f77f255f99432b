"""What tests have done by each of several processes: functions of plain arguments."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wilss.errors import DamagedArtefactError, TrainingError
from wilss.foundation.pretrain.pairs import SCENES_WORLD, Pairs, draw_pairs
from wilss.nets.batchnorm import synchronise_batchnorm
from wilss.parallel.launch import on_each
from wilss.parallel.process import Telling
from wilss.parallel.ranks import here

CPUS = ["cpu", "cpu"]


def on_two(work: str, **arguments: Any) -> Any:
    """What a function of this module returns in the first of two processes."""
    return on_each(f"tests.wilss.on_ranks:{work}", arguments, CPUS, lambda kind, content: None)


def facts_of_pairs(pairs: Pairs) -> list[str]:
    """Digests of images and captions."""
    return [
        hashlib.sha256(content).hexdigest()
        for content in (pairs.images.numpy().tobytes(), json.dumps(pairs.captions).encode())
    ]


def drawn(arguments: dict[str, Any], telling: Telling) -> Any:
    """Facts of pairs, alike on every process, and how the first one told that it went."""
    told: list[int] = []
    pairs = draw_pairs(SCENES_WORLD, 14, lambda done, count: told.append(done), Path(arguments["folder"]), shard=5)
    facts = facts_of_pairs(pairs)
    for digest in facts:
        here().require_same(digest, torch.device("cpu"))
    return [facts, told]


def normalised_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LeakyReLU(0.01, inplace=True), nn.Flatten(), nn.LazyBatchNorm1d()
    )


def images_of(n: int, offset: float = 0.0) -> Tensor:
    return torch.randn(n, 3, 6, 6, generator=torch.Generator().manual_seed(3)) * 2 + offset


def facts_of(net: nn.Module, images: Tensor, n: int) -> dict[str, Any]:
    """Output, gradients and running statistics of a batch, of which ``images`` may be a part; three updates."""
    net.train()
    images = images.clone().requires_grad_()
    for _ in range(3):
        out = net(images)
    weight = torch.linspace(-1, 1, out.shape[1])
    ((out.square() * weight).sum() / n).backward()
    return {
        "out": out.detach(),
        "input": images.grad,
        "gradients": [p.grad for p in net.parameters()],
        "buffers": [b.double() for b in net.buffers()],
    }


def batchnorm(arguments: dict[str, Any], telling: Telling) -> Any:
    """What `facts_of` finds of the whole batch, rows of which lie on two processes."""
    n, ranks = arguments["n"], here()
    net = normalised_net()
    net(images_of(n))  # shapes of the lazy layer
    net.load_state_dict(torch.load(arguments["state"], weights_only=True))
    synchronise_batchnorm(net)
    rows = ranks.rows(n)
    with ranks.learning_from(n):
        found = facts_of(net, images_of(n, arguments["offset"])[rows.start : rows.stop], n)
        whole = {name: ranks.gathered(found[name]).tolist() for name in ("out", "input")}
    gradients = [ranks.summed(g).tolist() for g in found["gradients"]]
    return {**whole, "gradients": gradients, "buffers": [b.tolist() for b in found["buffers"]]}


def collectives(arguments: dict[str, Any], telling: Telling) -> Any:
    """`evened` and `gathered` on parts of 3 and 2 rows, with the gradient that reaches the first part."""
    ranks, n = here(), 5
    rows = ranks.rows(n)
    own = torch.arange(n, dtype=torch.float32)[rows.start : rows.stop].requires_grad_()
    with ranks.learning_from(n):
        whole = ranks.gathered(own)
        (whole.square().sum() * ranks.share(n)).backward()
        count = torch.tensor(float(ranks.rank * 6))  # 0 here, 6 there
        mean = ranks.summed(torch.tensor(12.0 * ranks.rank) / ranks.evened(count, 1) * ranks.share(n))
    assert own.grad is not None
    return {"whole": whole.tolist(), "gradient": own.grad.tolist(), "mean": float(mean)}


def fails(arguments: dict[str, Any], telling: Telling) -> Any:
    """Fail as is asked for, in the second process; the first waits for it without end."""
    if here().rank == 0:
        here().summed(torch.zeros(1))
    how = arguments["how"]
    if how == "training":
        raise TrainingError("the loss was not finite")
    if how == "damage":
        raise DamagedArtefactError("shard 3 is gone", "make it again", Path("/store/labels/ab"), "3")
    if how == "memory":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    if how == "disk":
        raise OSError(28, "No space left on device", "/store/x")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ZeroDivisionError("odd")


def waits(arguments: dict[str, Any], telling: Telling) -> Any:
    """Say who one is, and work for longer than any test."""
    Path(arguments["folder"], str(here().rank)).write_text(str(os.getpid()))
    telling.progress("waits", 1, 2, 0.5)
    print("a library prints")
    while True:
        time.sleep(0.1)
