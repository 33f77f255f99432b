"""``wilss settings``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.cli.options import FEWSHOT_RESERVED, RESERVED, Flag
from flows.cli.printing import print_json, print_table
from flows.machine import machine_settings


def settings(
    section: str | None = None,
    *,
    few_shot: Flag = False,
    json: Flag = False,
    imports: Annotated[tuple[Path, ...], Parameter(name="--import", negative="")] = (),
) -> None:
    """List every setting that --set takes: default, range, meaning, and which preset sets it to what.

    Args:
        section: such as step, or foundation.cosegment; all of them when left out
        few_shot: settings of few-shot runs instead of those of incremental ones
        json: print JSON
        imports: Python files of your own, whose settings are listed too
    """
    from wilss.fewshot.spec import FewShotSpec
    from wilss.known_settings import known_settings
    from wilss.spec import RunSpec

    machine_settings(imports=imports or None)
    reserved = FEWSHOT_RESERVED if few_shot else RESERVED
    found = known_settings(FewShotSpec if few_shot else RunSpec, section, reserved)
    if json:
        print_json([asdict(one) for one in found])
        return
    rows = []
    for one in found:
        presets = "; ".join(f"{name}: {value}" for name, value in one.presets.items())
        rows.append([one.key, one.default, one.allowed, "; ".join(filter(None, (one.meaning, presets)))])
    print_table("settings", ["key", "default", "allowed", "meaning; preset: its value"], rows, left=True)
