"""``python -m deployments.service``: what ``wilss up`` becomes. Its options come by the environment."""

from __future__ import annotations

import os
import sys

from pydantic import ValidationError

from deployments.service.options import VARIABLE, UpOptions
from deployments.service.supervisor import Supervisor
from wilss.errors import WilssError
from wilss.escapes import harmless


def main() -> None:
    """Entry point of the process."""
    try:
        options = UpOptions.model_validate_json(os.environ.pop(VARIABLE, ""))
    except ValidationError:
        print("wilss: this is started by 'wilss up'", file=sys.stderr)
        sys.exit(2)
    try:
        Supervisor(options).run()
    except WilssError as error:
        print(f"wilss: {harmless(str(error))}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
