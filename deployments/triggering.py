"""Beginning a run of a deployment: refused before it exists where its parameters are wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from deployments.flow_runs import FlowRun, as_run
from flows.api import Api
from stores.labels.review.scripts import user_name
from wilss.errors import ArtefactNotFoundError, ServerRefusedError, SpecError, did_you_mean

NAME = re.compile("[a-z0-9][a-z0-9-]{0,59}")
"""Of deployments, schedules and watches of one's own."""
DEPLOYED = re.compile("[a-z0-9][a-z0-9:-]{0,59}")
"""Of any deployment: those of further devices are called as their pools are, gpu:1."""
FIELD = re.compile(
    r"Validation failed(?: for field '(?P<field>[^']*)')?\. Failure reason: (?P<reason>.*)\)$", re.DOTALL
)


def require_name(name: str, what: str) -> str:
    """The same name. Raises SpecError for one that could not be a file's."""
    if not NAME.fullmatch(name):
        raise SpecError(f"{what} '{name:.100}' cannot be called so: a name is up to 60 of a-z, 0-9 and '-'")
    return name


def find_deployment(api: Api, kind: str, name: str) -> dict[str, Any]:
    """The deployment ``KIND/NAME``. Raises ArtefactNotFoundError that tells which there are."""
    if not DEPLOYED.fullmatch(name):
        raise SpecError(f"deployment '{name:.100}' cannot be called so: a name is up to 60 of a-z, 0-9, '-' and ':'")
    found = api.found(f"/deployments/name/{kind}/{name}")
    if found is not None:
        return dict(found)
    there = api.post("/deployments/filter", {"flows": {"name": {"any_": [kind]}}, "limit": 200})
    names = [str(one["name"]) for one in there]
    known = did_you_mean(name, names) if names else " 'wilss up' deploys what the package has, 'wilss deploy' your own."
    raise ArtefactNotFoundError(f"there is no deployment '{kind}/{name}' on the server.{known}")


def begin_run(api: Api, deployment: Mapping[str, Any], parameters: Mapping[str, Any], tags: list[str]) -> FlowRun:
    """Begin a run. Raises SpecError that names the field where the server refuses the parameters."""
    path = f"/deployments/{deployment['id']}/create_flow_run"
    once = {"idempotency_key": str(uuid4())}  # where a busy server is asked twice
    body = {"parameters": dict(parameters), "tags": [f"started-by:{user_name()}", *tags], **once}
    try:
        return as_run(api.post(path, body))
    except ServerRefusedError as error:
        raise SpecError(refusal_in_words(str(error))) from error


def refusal_in_words(said: str) -> str:
    """What the server says of wrong parameters, the field first."""
    if (found := FIELD.search(said)) is None:
        return said
    reason, field = " ".join(found["reason"].split()), found["field"]
    named = f"'{field}'" if field else "the parameters"
    return f"the server refuses {named}: {reason:.300}; correct it and trigger again"
