"""What a served model takes: ``python -m tests.benchmarks.serve``.

A server in a process of its own, asked over the loopback by 8 clients at once, 2,000 images: palette PNGs of two sizes,
each compared with what the model alone makes of the image. Meanwhile 300 malformed requests have to get 4xx, and the
alias moves four times between two models. The last line is JSON: milliseconds (median, 95th percentile, their ratio),
errors, and the memory of the server after a tenth of the requests and at the end. It fails where the 95th percentile is
more than 3 times the median, where there was an error, or where the memory grew by more than a tenth.
"""

from __future__ import annotations

import argparse
import http.client
import io
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from stores.artefacts import Store
from stores.registry import promote
from tests.benchmarks import last_line
from tests.deployments.serving.made import Server, blobs, encoded, publish, served
from wilss.aliases import aliases_of
from wilss.data.voc import save_palette_png
from wilss.models.model import Model

CLIENTS, REQUESTS, MALFORMED, MOVES = 8, 2000, 300, 4
SIZES = ((120, 160), (150, 100))
IMAGES = 8
MOST_RATIO, MOST_GROWTH = 3.0, 1.1
MODEL = "X-Wilss-Model"


@dataclass
class Measured:
    """taken: seconds of each image. wrong: what went wrong, in words, and how often. models: images by digest."""

    taken: list[float] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)

    @property
    def facts(self) -> dict[str, Any]:
        """For the last line."""
        middle, high = (1e3 * float(value) for value in np.percentile(self.taken, [50, 95]))
        return {
            "requests": len(self.taken),
            "median_ms": middle,
            "p95_ms": high,
            "ratio": high / middle,
            "errors": sum(self.wrong.values()),
            "wrong": dict(self.wrong.most_common(5)),
            "refused": dict(self.refused),
            "models": len(self.models),
            "memory_before_mib": self.memory[0] / 2**20,
            "memory_after_mib": self.memory[-1] / 2**20,
        }


@dataclass(frozen=True)
class Asked:
    """Images as they are sent, and for each model's digest the PNGs that have to come back."""

    bodies: list[bytes]
    answers: dict[str, list[bytes]]

    @classmethod
    def of(cls, root: Path, digests: list[str]) -> Asked:
        """Of built images."""
        bodies = [encoded(blobs(*SIZES[k % len(SIZES)], seed=k)) for k in range(IMAGES)]
        pixels = [np.array(Image.open(io.BytesIO(body))) for body in bodies]
        models = {d: Model.open(Store(root).path("checkpoints", d), torch.device("cpu")) for d in digests}
        return cls(bodies, {d: [_png(model, image) for image in pixels] for d, model in models.items()})


def _png(model: Model, image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    save_palette_png(model.predict(image), buffer, model.palette)
    return buffer.getvalue()


class Client:
    """One connection that is kept open; opened again where it ended, which counts as an error."""

    def __init__(self, server: Server) -> None:
        self.line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)

    def ask(self, body: bytes, kind: str = "image/png") -> tuple[int, str, bytes]:
        """Status, digest of the model, and content of an answer."""
        headers = {"accept": "image/png", "content-type": kind}
        self.line.request("POST", "/predict", body, headers)
        answer = self.line.getresponse()
        return answer.status, answer.getheader(MODEL, ""), answer.read()


def load(server: Server, root: Path, asked: Asked, requests: int, malformed: int, moves: int) -> Measured:
    """Ask for so many images by `CLIENTS` at once, for what is none meanwhile, and let the champion move."""
    found, numbers, over = Measured(), count(), threading.Event()
    with ThreadPoolExecutor(CLIENTS + 2) as pool:
        clients = [pool.submit(_client, server, asked, numbers, requests, found) for _ in range(CLIENTS)]
        beside = pool.submit(_spoil, server, malformed, found, over)
        moving = pool.submit(_move, root, list(asked.answers), moves, requests, found)
        for client in clients:
            client.result()
        over.set()
        beside.result()
        moving.result()
    found.memory.append(server.memory)
    return found


def _client(server: Server, asked: Asked, numbers: Iterator[int], requests: int, found: Measured) -> None:
    client = Client(server)
    with closing(client.line):
        while (number := next(numbers)) < requests:
            which, begun = number % IMAGES, time.perf_counter()
            try:
                status, digest, content = client.ask(asked.bodies[which])
            except (OSError, http.client.HTTPException) as error:
                found.wrong[type(error).__name__] += 1
                client.line.close()
                continue
            found.taken.append(time.perf_counter() - begun)
            found.models[digest] += 1
            right = status == 200 and asked.answers.get(digest, [b""] * IMAGES)[which] == content
            found.wrong.update([] if right else [f"status {status}" if status != 200 else "another picture"])
            if number == requests // 10:
                found.memory.append(server.memory)


def _spoil(server: Server, malformed: int, found: Measured, over: threading.Event) -> None:
    """Send what is no image, at the pace at which images are answered."""
    client, whole = Client(server), encoded(blobs())
    bodies = [b"", b"text", whole[: len(whole) // 2], bytes(3000), b"--a\r\n\r\nx\r\n--a--\r\n"]
    kinds = ["image/png", "text/plain", "multipart/form-data; boundary=a", "multipart/form-data", "application/json"]
    with closing(client.line):
        for number in range(malformed):
            try:
                status, _, _ = client.ask(bodies[number % len(bodies)], kinds[number // len(bodies) % len(kinds)])
            except (OSError, http.client.HTTPException) as error:
                found.wrong[f"malformed: {type(error).__name__}"] += 1
                client.line.close()
                continue
            found.refused[status] += 1
            found.wrong.update([] if 400 <= status < 500 else [f"malformed: status {status}"])
            over.wait(0.01)


def _move(root: Path, digests: list[str], moves: int, requests: int, found: Measured) -> None:
    for number in range(moves):
        while len(found.taken) + sum(found.wrong.values()) < (number + 1) * requests / (moves + 1):
            time.sleep(0.02)
        now = aliases_of(root)["champion"]
        promote(root, next(d for d in digests if d != now), expected=now, who="bench", why="another one")


def measure(root: Path, requests: int = REQUESTS, malformed: int = MALFORMED, moves: int = MOVES) -> Measured:
    """Start a server over two students, and ask it."""
    digests = [publish(root, 0), publish(root, 5, ("hamster", "owl", "eel"))]
    promote(root, digests[0], expected=None, who="bench", why="the first")
    asked = Asked.of(root, digests)
    with served(root, "champion", "--poll", 0.1) as server:
        return load(server, root, asked, requests, malformed, moves)


def problems(facts: dict[str, Any]) -> list[str]:
    """What is not as it has to be."""
    growth = facts["memory_after_mib"] / facts["memory_before_mib"]
    return [
        *([f"{facts['errors']} errors: {facts['wrong']}"] if facts["errors"] else []),
        *([f"the 95th percentile is {facts['ratio']:.1f} times the median"] if facts["ratio"] > MOST_RATIO else []),
        *([f"the memory grew {growth:.2f} times"] if growth > MOST_GROWTH else []),
    ]


def main() -> None:
    """Measure, print one JSON object, and fail for what is not as it has to be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--malformed", type=int, default=MALFORMED)
    parser.add_argument("--moves", type=int, default=MOVES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        facts = measure(Path(folder), options.requests, options.malformed, options.moves).facts
    for said in (found := problems(facts)):
        print(said, file=sys.stderr)
    last_line("serve", facts)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
