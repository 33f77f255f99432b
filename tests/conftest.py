"""Shared fixtures: one torch thread, no telemetry, real data where they are, one Prefect harness."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

from wilss._torchvision import make_torchvision_importable

import pytest
import torch

pytest_plugins = ["tests.budget", "tests.built", "tests.s3"]

make_torchvision_importable()
torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # begun in the background: commands would ignore it too


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with voc2012/, coco128/, protocol/ and weights/; tests that need it are skipped where there is none."""
    for candidate in (os.environ.get("WILSS_REAL_DATA"), Path(__file__).parents[2] / "shared" / "data"):
        if candidate and (Path(candidate) / "voc2012").is_dir():
            return Path(candidate)
    pytest.skip("real photographs: set WILSS_REAL_DATA to a folder that holds voc2012/ and weights/")


@pytest.fixture(scope="session")
def prefect_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One Prefect server for all flow tests."""
    from httpx import TimeoutException
    from prefect.settings import PREFECT_LOGGING_TO_API_ENABLED, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    try:
        from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY

        updates = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_LOGGING_TO_API_ENABLED: False}
    except ImportError:
        updates = {PREFECT_LOGGING_TO_API_ENABLED: False}
    with ExitStack() as stack:
        for last in (False, True):  # one that has just come up may not answer in time, which Prefect takes for its end
            try:
                stack.enter_context(prefect_test_harness(server_startup_timeout=120))
                break
            except TimeoutException:
                if last:
                    raise
        stack.enter_context(temporary_settings(updates))
        yield


@pytest.fixture
def registrations() -> Iterator[None]:
    """What a test registers goes with it."""
    from wilss import register

    before, loaded = [dict(table) for table in register.TABLES], dict(register._loaded)
    yield
    for table, entries in zip(register.TABLES, before, strict=True):
        table.clear()
        table.update(entries)
    register._loaded.clear()
    register._loaded.update(loaded)
