"""What is counted, in Prometheus's text form; a registry of its own, so that two servers of a process do not mix."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from deployments.serving.models import Loaded

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
OTHER = "other"
"""The path of what is none of this server's: a label has few values, whatever is asked for."""


class Metrics:
    """Counters of one server."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        of = {"namespace": "wilss_serve", "registry": self._registry}
        self._requests = Counter("requests", "Requests answered, by path and status", ["path", "status"], **of)
        self._seconds = Histogram("request_seconds", "From request to answer", ["path"], buckets=SECONDS, **of)
        self._images = Counter("images", "Images that went through the network", **of)
        self._batch = Histogram("batch_images", "Images of a pass through the network", buckets=BATCHES, **of)
        self._waiting = Gauge("queue_images", "Images that wait for the network", **of)
        self._taken = Gauge("images_in_progress", "Images that are read, wait or are computed", **of)
        self._behind = Gauge("behind", "1 while the model that the alias points to cannot be loaded", **of)
        self._loads = Counter("model_loads", "Models loaded, and those that could not be", ["outcome"], **of)
        self._model = Info("model", "The model that answers", **of)
        ProcessCollector(registry=self._registry)

    def watch(self, waiting: Callable[[], float], taken: Callable[[], float]) -> None:
        """Ask these whenever the numbers are read."""
        self._waiting.set_function(waiting)
        self._taken.set_function(taken)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """A request was answered. path: of a route, or `OTHER`."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def passed(self, images: int) -> None:
        """So many images went through the network at once."""
        self._images.inc(images)
        self._batch.observe(images)

    def loaded(self, found: Loaded | None) -> None:
        """This model answers from now on; None: one could not be loaded."""
        self._loads.labels("failed" if found is None else "loaded").inc()
        if found is not None:
            self._model.info({"digest": found.digest, "alias": found.alias or ""})

    def behind(self, is_behind: Callable[[], bool]) -> None:
        """Ask this whether the alias points to what cannot be loaded."""
        self._behind.set_function(lambda: float(is_behind()))

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self._registry)
