"""The reference of all settings, out of the specifications."""

from __future__ import annotations

from flows.cli.options import FEWSHOT_RESERVED, RESERVED
from wilss.escapes import harmless
from wilss.fewshot.spec import FewShotSpec
from wilss.known_settings import Setting, known_settings
from wilss.settings import Settings
from wilss.spec import RunSpec

HEAD = """# Settings

Every key that `--set section.key=value` takes, as `wilss settings` lists them: default, what is allowed, meaning, and
which preset sets it to what. Unknown keys and values out of range are refused before anything is computed. In Python
the same keys are `settings={"section": {"key": value}}`.
"""
FEWSHOT = """# Settings of few-shot runs

What `wilss few-shot ... --set section.key=value` takes (`wilss settings --few-shot`).
"""
MACHINE = """## Settings of a machine

Where and how to compute. Each is an option of the commands that need it, or an environment variable; none changes what
a result is called.

| option | environment | meaning |
|---|---|---|
"""
TABLE = "| key | default | allowed | meaning | presets |\n|---|---|---|---|---|\n"
TOP = "of a run"


def settings_page() -> str:
    """Markdown of the settings of incremental runs, and of machines."""
    rows = [
        f"| `--{'import' if name == 'imports' else name.replace('_', '-')}` | `WILSS_{name.upper()}` "
        f"| {_cell(field.description or '')} |"
        for name, field in Settings.model_fields.items()
    ]
    return f"{HEAD}\n{_sections(known_settings(RunSpec, None, RESERVED))}\n{MACHINE}" + "\n".join(rows) + "\n"


def fewshot_settings_page() -> str:
    """Markdown of the settings of few-shot runs."""
    return f"{FEWSHOT}\n{_sections(known_settings(FewShotSpec, None, FEWSHOT_RESERVED))}"


def _sections(found: list[Setting]) -> str:
    """A table a section, in the order in which they come first; keys without a section before all others."""
    sections: dict[str, list[Setting]] = {"": []}
    for one in found:
        sections.setdefault(one.key.rpartition(".")[0], []).append(one)
    titles = {name: f"`{name}`" if name else TOP for name in sections}
    return "\n".join(f"## {titles[name]}\n\n{TABLE}{''.join(map(_row, rows))}" for name, rows in sections.items())


def _row(one: Setting) -> str:
    presets = "; ".join(f"{name}: {value}" for name, value in one.presets.items())
    return f"| `{one.key}` | {' | '.join(map(_cell, (one.default, one.allowed, one.meaning, presets)))} |\n"


def _cell(text: str) -> str:
    """Text that neither ends a cell nor is read as markup."""
    safe = harmless(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;")
    return safe.replace("*", "&#42;").replace("_", "&#95;").replace("[", "&#91;")
