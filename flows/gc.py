"""The flow that lists, or deletes, what nobody needs of a store."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.states import Completed
from pydantic import Field

from flows.begin import begin
from flows.names import run_name
from flows.summary import nothing_to_do
from flows.telling import tell_table, told
from tasks.collect import collected, garbage
from wilss.settings import Settings

Delete = Annotated[
    bool, Field(description="delete it; otherwise it is only listed", json_schema_extra={"enum": [False, True]})
]


@flow(name="gc", flow_run_name=run_name, persist_result=False)
@told
def run_gc(delete: Delete = False, settings: Settings | None = None) -> Any:
    """List what no report, alias, schedule, deployment or label set needs, or delete it.

    Args:
        delete: delete it; otherwise it is only listed.
        settings: facts of the machine that were set; the others come from ``WILSS_*`` of the worker.

    Returns:
        deleted: whether it was. bytes: of all of it. items: what, name, bytes and path of each. kept: why things stay.
    """
    root = begin({}, settings).settings.root
    found = collected(root) if delete else garbage(root)
    content = found | {"deleted": delete}
    tell_table("garbage", [dict(item) for item in found["items"]], "deleted" if delete else "could be deleted")
    if not found["items"]:
        return nothing_to_do("; ".join(["nothing is left over", *found["kept"]]), content)
    word = "deleted" if delete else "could go"
    return Completed(message=f"{len(found['items'])} things, {found['bytes'] / 1e6:.1f} MB {word}", data=content)
