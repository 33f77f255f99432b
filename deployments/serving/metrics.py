"""What is counted, in Prometheus's text form; a registry of its own, so that two servers of a process do not mix."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from deployments.serving.models import Loaded

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
NAME = "wilss_serve"
OTHER = "other"
"""The path of what is none of this server's: a label has few values, whatever is asked for."""


class Metrics:
    """Counters of one server."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        told = "Requests answered, by path and status"
        self._requests = Counter(f"{NAME}_requests", told, ["path", "status"], registry=own)
        told = "Seconds from a request to its answer"
        self._seconds = Histogram(f"{NAME}_request_seconds", told, ["path"], buckets=SECONDS, registry=own)
        self._images = Counter(f"{NAME}_images", "Images that went through the network", registry=own)
        told = "Images of one pass through the network"
        self._batch = Histogram(f"{NAME}_batch_images", told, buckets=BATCHES, registry=own)
        self._waiting = Gauge(f"{NAME}_queue_images", "Images that wait for the network", registry=own)
        told = "Images that are read, wait or are computed"
        self._taken = Gauge(f"{NAME}_images_in_progress", told, registry=own)
        told = "1 while what the alias points to cannot be loaded"
        self._behind = Gauge(f"{NAME}_behind", told, registry=own)
        told = "Models loaded, and those that could not be"
        self._loads = Counter(f"{NAME}_model_loads", told, ["outcome"], registry=own)
        self._model = Info(f"{NAME}_model", "The model that answers", registry=own)
        ProcessCollector(registry=own)

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
