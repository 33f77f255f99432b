"""The reference of the command line, out of the commands themselves."""

from __future__ import annotations

import re
from typing import Any

HEAD = """# Commands

Every command and option of `wilss`, as `wilss COMMAND --help` tells them. Options of a machine (`--root`, `--data`,
`--device`, ...) can be given as environment variables too: [settings](settings.md#settings-of-a-machine).
"""


def command_line() -> Any:
    """The app with all its commands, those of the service included."""
    from deployments.command import add_commands
    from flows.cli.app import app

    add_commands()
    return app


def commands_page() -> str:
    """Markdown of all commands, a heading each."""
    told: str = command_line().generate_docs(output_format="markdown", recursive=True, heading_level=1)
    _, _, rest = told.partition("**Commands**")
    return f"{HEAD}\n**Commands**{_named(rest)}"


def _named(text: str) -> str:
    """Fences of this site's languages, and usages without a word that says nothing."""
    return re.sub(r"^``` ?console$", "```text", text, flags=re.MULTILINE)
