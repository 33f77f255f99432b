"""A run as plain data, from which another process, maybe on another machine, opens the same one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stores.artefacts import Anew
from stores.plans.run import Run
from stores.plans.session import Session
from wilss.errors import RunnerError
from wilss.register import load_registrations, loaded_files
from wilss.settings import THREADS, Settings
from wilss.spec import make_spec


@dataclass(frozen=True)
class ClosedRun:
    """What a run is opened from elsewhere.

    spec, settings: as JSON has them, paths whole. anew: `Session.anew`. files: of registrations, in order. there: a
    folder that stands where the run's root does.
    """

    spec: Mapping[str, Any]
    settings: Mapping[str, Any]
    anew: Mapping[str, Anew]
    files: tuple[str, ...]
    there: str

    @classmethod
    def of(cls, run: Run, there: Path) -> ClosedRun:
        """The run that is opened here.

        Args:
            there: a folder below the root, by which another machine is seen to have the same root.
        """
        settings = run.settings.model_copy(
            update={name: _whole(value) for name, value in run.settings}
            | {"runner": THREADS, "workers": 1, "devices": 1}
        )
        files = (*map(str, loaded_files()), *map(str, settings.imports))
        return cls(
            run.spec.model_dump(mode="json"),
            settings.model_dump(mode="json"),
            run.session.anew,
            tuple(dict.fromkeys(files)),
            str(there.resolve()),
        )

    def open(self, where: str) -> Run:
        """The run, opened in this process.

        Args:
            where: what this process is called, for people.

        Raises RunnerError where this machine has another root, and as `Run` does.
        """
        if not Path(self.there).is_dir():
            raise RunnerError(
                f"{where} does not see '{self.there}'; root, data and weights have to lie at the same paths on every "
                "machine, such as a folder that all of them mount"
            )
        for file in self.files:
            load_registrations(Path(file))
        return Run(make_spec(dict(self.spec)), Session(Settings.model_validate(self.settings), anew=self.anew))


def _whole(value: Any) -> Any:
    """A setting as another working folder reads it alike."""
    if isinstance(value, tuple):
        return tuple(map(_whole, value))
    return value.resolve() if isinstance(value, Path) else value
