"""Pools and deployments at the server, by a process of its own: it loads the flows, and with them torch.

Arguments: the folder in which runs work, and a file that takes the list of the pools, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from deployments.catalogue import DEFAULT, DEPLOYMENTS, deploy
from deployments.schedules import restore
from flows.api import Api
from wilss.errors import ServerRefusedError, WilssError
from wilss.outputs import whole_file

ENGINE = [sys.executable, "-P", "-m", "deployments.service.leash", "prefect.engine"]


def main() -> None:
    """Wait for the server, then tell it everything."""
    import shlex
    from dataclasses import replace

    import torch

    import flows.begin  # noqa: F401 (registrations of one's own come before any specification)

    pools = [f"gpu:{number}" for number in range(torch.cuda.device_count())] or ["cpu"]
    api = Api(os.environ["PREFECT_API_URL"])
    while not api.answers():
        time.sleep(0.2)
    for number, pool in enumerate(pools):
        have_pool(api, pool, shlex.join(ENGINE), sys.argv[1])
        named = DEPLOYMENTS if number == 0 else [replace(e, name=pool) for e in DEPLOYMENTS if e.name == DEFAULT]
        deploy(named, pool, api)
    for name in restore(api, Path(sys.argv[2]).parents[1]):
        print(f"schedule {name} is on the server again", file=sys.stderr)
    with whole_file(Path(sys.argv[2])) as path:
        path.write_text(json.dumps(pools))


def have_pool(api: Api, pool: str, command: str, folder: str) -> None:
    """A pool whose runs are processes of one worker, one at a time, which end with the worker.

    Args:
        folder: in which runs work.
    """
    told = {"base_job_template": template(command, folder), "concurrency_limit": 1}
    try:
        api.post("/work_pools/", {"name": pool, "type": "process", **told})
    except ServerRefusedError as error:
        if error.status != 409:
            raise
        api.patch(f"/work_pools/{pool}", told)


def template(command: str, folder: str) -> dict[str, Any]:
    """Prefect's template of a process, with a command and a folder of ours."""
    from prefect.workers.process import ProcessWorker

    found = ProcessWorker.get_default_base_job_template()
    variables = found["variables"]["properties"]
    variables["command"]["default"], variables["working_dir"]["default"] = command, folder
    return found


if __name__ == "__main__":
    try:
        main()
    except WilssError as error:
        print(f"wilss: {error}", file=sys.stderr)
        sys.exit(2)
