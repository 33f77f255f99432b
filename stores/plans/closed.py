"""A run as plain data, from which another process, maybe on another machine, opens the same one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from stores.artefacts import Anew
from stores.plans.fewshot_run import FewShotRun
from stores.plans.run import Run
from stores.plans.session import Session
from stores.progress import say
from wilss.errors import RunnerError
from wilss.fewshot.spec import make_fewshot_spec
from wilss.layout import whole
from wilss.register import load_registrations, loaded_files
from wilss.settings import THREADS, Settings
from wilss.spec import make_spec


class ClosedRun(BaseModel):
    """What a run is opened from elsewhere, by one process that computes on one device.

    spec: as JSON has it. settings: paths whole. anew: `Session.anew`. files: of registrations, in order. there: a
    folder that stands where the run's root does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    few_shot: bool
    spec: dict[str, Any]
    settings: Settings
    anew: dict[str, Anew]
    files: tuple[Path, ...]
    there: Path

    @classmethod
    def of(cls, run: Run | FewShotRun, there: Path) -> ClosedRun:
        """The run that is opened here.

        Args:
            there: a folder below the root, by which another machine is seen to have the same root.
        """
        whole = {name: _whole(value) for name, value in run.settings}
        settings = run.settings.model_copy(update=whole | {"runner": THREADS, "workers": 1, "devices": 1})
        return cls(
            few_shot=isinstance(run, FewShotRun),
            spec=run.spec.model_dump(mode="json"),
            settings=settings,
            anew=run.session.anew,
            files=tuple(dict.fromkeys((*loaded_files(), *settings.imports))),
            there=there.resolve(),
        )

    def open(self, where: str, device: str | None = None, say: Callable[[str], None] = say) -> Run | FewShotRun:
        """The run, opened in this process.

        Args:
            where: what this process is called, for people. device: another one than the settings name. say: see
                `Session`.

        Raises RunnerError where this machine has another root, and as `Run` and `FewShotRun` do.
        """
        if not self.there.is_dir():
            raise RunnerError(
                f"{where} does not see '{self.there}'; root, data and weights have to lie at the same paths on every "
                "machine, such as a folder that all of them mount"
            )
        for file in self.files:
            load_registrations(file)
        session = Session(self.settings.model_copy(update={"device": device} if device else {}), say, self.anew)
        return (
            FewShotRun(make_fewshot_spec(self.spec), session) if self.few_shot else Run(make_spec(self.spec), session)
        )


def _whole(value: Any) -> Any:
    """A setting as another working folder reads it alike."""
    if isinstance(value, tuple):
        return tuple(map(_whole, value))
    return whole(value) if isinstance(value, Path) else value
