"""Events that the service hears: what happened to images and reviews, told without Prefect and without waiting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from flows.service import require_service
from stores.progress import say
from wilss.errors import ServerNotFoundError, WilssError

if TYPE_CHECKING:
    from flows.api import Api
    from stores.artefacts import Manifest

IMAGES_SETTLED = "wilss.images.settled"
"""At least so many new tagged images of a folder have settled; of ``wilss.folder.NAME``."""
REVIEW_FINISHED = "wilss.review.finished"
"""What was said of a label set was applied; of ``wilss.labels.BENCHMARK``."""
EXECUTED = "prefect.automation.action.executed"
"""What the server itself tells when an event began a run."""


def folder_resource(name: str) -> str:
    """The resource that a watched folder is."""
    return f"wilss.folder.{name}"


def labels_resource(benchmark: str) -> str:
    """The resource that the label sets of a benchmark are."""
    return f"wilss.labels.{benchmark}"


def tell(root: Path, event: str, resource: str, payload: Mapping[str, Any], event_id: UUID | None = None) -> bool:
    """Post an event to the service of a root; False, without a word, where none is up.

    It never stops who tells: where a service is up and does not take the event, that is said in one line.
    """
    try:
        url = require_service(root)
    except ServerNotFoundError:
        return False
    try:
        post(url, event, resource, payload, event_id)
    except WilssError as error:
        say(f"the event {event} of {resource} was not told: {error}")
        return False
    return True


def tell_review(root: Path, label_set: str, child: Manifest) -> bool:
    """Tell that the review of a label set was applied. The same review, applied again, is the same event.

    Args:
        label_set: its digest. child: what it became.
    """
    from stores.labels.review.scripts import user_name

    benchmark, step = child.notes.get("benchmark"), child.notes.get("step")
    content = {"label_set": label_set, "reviewed": child.digest, "benchmark": benchmark, "step": step}
    content |= {"images": child.counts.get("images"), "who": user_name()}
    event_id = uuid5(NAMESPACE_URL, f"{REVIEW_FINISHED}/{label_set}/{child.digest}")
    return tell(root, REVIEW_FINISHED, labels_resource(str(benchmark)), content, event_id)


def post(url: str, event: str, resource: str, payload: Mapping[str, Any], event_id: UUID | None = None) -> UUID:
    """Post an event and return its id. Posted again with its id it is the same event, and starts nothing twice.

    Raises ServerNotFoundError and ServerRefusedError.
    """
    from flows.api import Api

    body = {
        "id": str(event_id or uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": event,
        "resource": {"prefect.resource.id": resource, "prefect.resource.name": resource.rpartition(".")[2]},
        "related": [],
        "payload": dict(payload),
    }
    with Api(url) as api:
        api.post("/events", [body])
    return UUID(body["id"])


def arrived(url: str, event_id: UUID) -> bool:
    """Whether the server keeps an event: it takes what is posted into its memory first."""
    from flows.api import Api

    with Api(url) as api:
        return bool(_events(api, {"id": {"id": [str(event_id)]}}))


@dataclass(frozen=True)
class Heard:
    """An event that the server keeps. resource: such as wilss.folder.pets."""

    id: str
    event: str
    resource: str
    payload: Mapping[str, Any]

    @property
    def words(self) -> str:
        """What happened, for people."""
        number = self.payload.get("images")
        many = f", {number} images" if isinstance(number, int) else ""
        return f"event {self.event} of {self.resource}{many} ({self.id})"


def event_behind(url: str, flow_run_id: str) -> Heard | None:
    """The event that began a flow run; None where none did, or the server keeps it no more."""
    from flows.api import Api

    of_run = {"event": {"name": [EXECUTED]}, "any_resource": {"id": [f"prefect.flow-run.{flow_run_id}"]}}
    with Api(url) as api:
        for executed in _events(api, of_run):
            for related in executed["related"]:
                if related.get("prefect.resource.role") == "triggering-event":
                    event_id = str(related["prefect.resource.id"]).removeprefix("prefect.event.")
                    for one in _events(api, {"id": {"id": [event_id]}}):
                        return Heard(one["id"], one["event"], one["resource"]["prefect.resource.id"], one["payload"])
    return None


def _events(api: Api, chosen: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.post("/events/filter", {"filter": dict(chosen), "limit": 1})["events"]
    return found
