"""Registering methods, heads, scorers, groupers and data families of one's own. No torch.

What a user's file registers (`load_registrations`) is known by the SHA-256 of the file's bytes too: a changed file
makes other artefacts. Where a program registers by itself, it raises ``version`` when its code computes other results.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wilss.custom import read_benchmark
from wilss.data.families import ASKS, FAMILIES, Family
from wilss.errors import SpecError, WilssError, did_you_mean
from wilss.fewshot.heads import HEADS, HeadEntry
from wilss.fewshot.presets import FEWSHOT_PRESETS
from wilss.fewshot.spec import FewShotSpec
from wilss.foundation.kinds import GROUPERS, SCORERS, Kind
from wilss.grid import VARIANTS
from wilss.learn.methods import METHODS, MethodEntry
from wilss.learn.spec import MethodSettings
from wilss.members import GROUPER, HEAD, METHOD, SCORER, require_members
from wilss.presets import PRESETS
from wilss.section import Section
from wilss.spec import RunSpec

if TYPE_CHECKING:
    from torch import nn

    from wilss.foundation.contracts import Grouper, Scorer
    from wilss.foundation.spec import FoundationSpec
    from wilss.learn.methods.contract import Method, StepContext

E = TypeVar("E", MethodEntry, HeadEntry, Kind, Family)
NAME = re.compile("[a-z0-9-]{1,60}")
TABLES: tuple[dict[str, Any], ...] = (METHODS, HEADS, SCORERS, GROUPERS, FAMILIES)
"""Where everything is that may be registered."""
_loaded: dict[Path, str] = {}
"""File of registrations -> SHA-256 of its bytes when it was loaded last."""
_source = ""
"""That of the file that is registering just now."""


def register_method(
    name: str,
    build: Callable[[StepContext], Method],
    settings: type[MethodSettings] | None = None,
    uses_labels: bool = True,
    version: int = 1,
) -> None:
    """Register a way to learn the steps t >= 1.

    Args:
        build: the class, or a function, that makes a `wilss.learn.methods.contract.Method` of a step's context.
        settings: a subclass of `MethodSettings`, every field with a default; given as ``--set NAME.key=value``, and
            found in ``context.settings``.
        uses_labels: whether it learns from label sets.

    Raises SpecError for a name that is taken or cannot be one, and for a class that lacks a member of the contract.
    """
    what = _title("method", name)
    _require_build(build, METHOD, what)
    _require_settings(settings, MethodSettings, what)
    _require_free(name, RunSpec, what)
    if name in VARIANTS:
        raise SpecError(f"{what} is taken: comparisons call a variant of FMWISS so; choose another name")
    _add(METHODS, MethodEntry(name, build, settings, uses_labels, version=version), what)


def register_head(
    name: str,
    build: Callable[[FewShotSpec, Sequence[int]], nn.Module],
    settings: type[Section] | None = None,
    stage1: bool = False,
    version: int = 1,
) -> None:
    """Register a few-shot head.

    Args:
        build: the class, or a function, that makes a `wilss.fewshot.heads.contract.Head` of the specification and the
            channels of c2 to c5. settings: as of `register_method`; found in ``spec.head_settings``.
        stage1: whether it builds upon a PSPNet of the base classes; of a class its own ``stage1`` tells.

    Raises as `register_method`.
    """
    what = _title("head", name)
    _require_build(build, HEAD, what)
    _require_settings(settings, Section, what)
    _require_free(name, FewShotSpec, what)
    stage1 = stage1 or bool(getattr(build, "stage1", ""))
    _add(HEADS, HeadEntry(name, build, settings, stage1=stage1, version=version), what)


def register_scorer(kind: str, build: Callable[[FoundationSpec, Path | None, str], Scorer], version: int = 1) -> None:
    """Register a kind of scorer, which names such as "KIND:MODEL" then belong to.

    Args:
        build: makes a `wilss.foundation.contracts.Scorer` of its settings (``spec.scorer`` is the whole name), the
            folder of weights (or None) and the device. Sizes and flips of the settings are its own affair.

    Raises as `register_method`.
    """
    what = _title("scorer", kind)
    _require_build(build, SCORER, what)
    _add(SCORERS, Kind(kind, build, version, registered=True), what)


def register_grouper(kind: str, build: Callable[[FoundationSpec, Path | None, str], Grouper], version: int = 1) -> None:
    """Register a kind of grouper; see `register_scorer` and `wilss.foundation.contracts.Grouper`."""
    what = _title("grouper", kind)
    _require_build(build, GROUPER, what)
    _add(GROUPERS, Kind(kind, build, version, registered=True), what)


def register_family(entry: Family) -> None:
    """Register a data family, for benchmarks of one's own (``data: NAME``).

    Raises SpecError for a name that is taken or cannot be one, an entry that lacks a member, or an unknown preset or
    folder; what it opens is looked at when it is opened.
    """
    what = _title("data family", getattr(entry, "name", entry))
    if not isinstance(entry, Family):
        raise SpecError(f"{what} is a {type(entry).__name__}; make it a wilss.data.families.Family")
    _require_build(entry.open, (), what)
    for option in (*entry.needs, *filter(None, [entry.voc_option])):
        if option not in ASKS:
            raise SpecError(f"{what} needs '{option}', which is no folder of a machine.{did_you_mean(option, ASKS)}")
    if not (entry.preset or entry.fewshot_preset):
        raise SpecError(f"{what} names no preset, so that no run could use it; give it one of {', '.join(PRESETS)}")
    for preset, known in ((entry.preset, PRESETS), (entry.fewshot_preset, FEWSHOT_PRESETS)):
        if preset is not None and preset not in known:
            raise SpecError(f"{what} names the unknown preset '{preset}'.{did_you_mean(preset, known)}")
    if "upon" in PRESETS.get(entry.preset or "", {}):
        raise SpecError(f"{what} names the preset '{entry.preset}', which adds to a family's own; name that one")
    _add(FAMILIES, entry, what)


def load_registrations(path: Path) -> None:
    """Run a Python file that registers what is a user's own.

    A file that is loaded already, byte by byte, is not run again; what an older version of it registered goes first.

    Raises SpecError for a file that is not there or fails, with its line; then nothing that it registered stays.
    """
    try:
        path = path.resolve()
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # no such file, a folder, a name that no file can have
        problem = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error!s:.100})"
        raise SpecError(f"'{str(path)[:200]}' {problem}; give a Python file that registers what is your own") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest in _loaded.values():
        return
    with _all_or_nothing(digest):
        for table in TABLES:
            for name in [name for name, entry in table.items() if entry.source and entry.source == _loaded.get(path)]:
                del table[name]
        _run(path, content, f"wilss_own_{digest[:16]}")
    _loaded[path] = digest


def loaded_files() -> tuple[Path, ...]:
    """Files of registrations that this process has loaded, in that order; another one needs them for the same runs."""
    return tuple(_loaded)


def read_own_benchmark(path: Path) -> dict[str, Any]:
    """`wilss.custom.read_benchmark` without the key ``import``, whose files are loaded: they lie beside it or below."""
    content = read_benchmark(path)
    named = content.pop("import", [])
    for name in [named] if isinstance(named, str) else named if isinstance(named, list) else [None]:
        file = path.parent / name if isinstance(name, str) else path
        if not isinstance(name, str) or "\0" in name or path.resolve().parent not in _parents(file):
            raise SpecError(f"'{path}' imports {name!r}; name Python files that lie beside it or in a folder below")
        load_registrations(file)
    return content


def _parents(file: Path) -> Sequence[Path]:
    try:
        return file.resolve().parents
    except OSError:  # a name that no file can have
        return ()


@contextmanager
def _all_or_nothing(source: str) -> Iterator[None]:
    """What is registered within is of a file, and goes again when that fails."""
    global _source
    before = [dict(table) for table in TABLES]
    _source = source
    try:
        yield
    except BaseException:
        for table, entries in zip(TABLES, before, strict=True):
            table.clear()
            table.update(entries)
        raise
    finally:
        _source = ""


def _run(path: Path, content: bytes, name: str) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look for it there
    try:
        exec(compile(content, str(path), "exec"), module.__dict__)  # the very bytes that the digest is of
    except (Exception, SystemExit) as error:  # whatever a user's file does wrong
        del sys.modules[name]
        raise SpecError(_told(path, error)) from error


def _told(path: Path, error: BaseException) -> str:
    """File, line and what went wrong there."""
    frames = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else frames[-1] if frames else None
    problem = " ".join(str(error).split())[:500]
    if not isinstance(error, WilssError):
        problem = f"{type(error).__name__}: {problem}"
    return f"'{path}', line {line}: {problem}" if line else f"'{path}': {problem}"


def _title(role: str, name: object) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SpecError(f"{role} '{name!s:.60}' cannot be called so: a name is up to 60 of a-z, 0-9 and '-'")
    return f"{role} '{name}'"


def _add(table: dict[str, E], entry: E, what: str) -> None:
    if entry.name in table:
        raise SpecError(f"{what} is registered already; choose another name")
    table[entry.name] = replace(entry, source=_source)


def _require_build(build: object, members: Sequence[str], what: str) -> None:
    if not callable(build):
        raise SpecError(f"{what} is made by {build!r:.60}, which cannot be called; give a class or a function")
    if isinstance(build, type):
        require_members(build, members, what)


def _require_settings(settings: object, kind: type[Section], what: str) -> None:
    if settings is None:
        return
    if not isinstance(settings, type) or not issubclass(settings, kind):
        raise SpecError(f"the settings of {what} are no subclass of {kind.__module__}.{kind.__name__}; make them one")
    required = [name for name, field in settings.model_fields.items() if field.is_required()]
    if required:
        raise SpecError(f"the setting '{required[0]}' of {what} has no default; give it one")


def _require_free(name: str, spec: type[Section], what: str) -> None:
    """Its section bears its name, which may be none of the specification's own."""
    if name in spec.model_fields and name not in METHODS and name not in HEADS:
        raise SpecError(f"{what} cannot be called so: '{name}' is a part of every specification; choose another name")
