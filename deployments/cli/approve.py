"""``wilss approve``: answer a run that was suspended until somebody says yes or no."""

from __future__ import annotations

from flows.cli.options import Flag, RootFolder
from flows.cli.printing import show
from wilss.errors import SpecError
from wilss.layout import default_root


def approve(
    run: str = "", *, yes: Flag = False, no: Flag = False, why: str = "", who: str = "", root: RootFolder = None
) -> None:
    """Answer a run that waits for approval, e.g. of the model that it trained; no answer means no.

    Args:
        run: its id, the first digits of it, or its name; the only one that waits when left out
        yes: approve
        no: refuse
        why: written beside the answer; has to be given
        who: in whose name; that of this machine's user when left out
        root: of the service; WILSS_ROOT or ./wilss-data when left out
    """
    if yes == no:
        raise SpecError("give the answer: --yes or --no, and --why TEXT")
    if not why.strip():
        raise SpecError("an answer has a reason, which is kept with it; give one with --why TEXT")
    from flows.service import require_service

    url = require_service(root or default_root())
    from deployments.answering import answer, waiting_run
    from flows.api import Api
    from stores.labels.review.scripts import user_name

    with Api(url) as api:
        show(answer(api, waiting_run(api, run), yes, who or user_name(), why.strip()))
