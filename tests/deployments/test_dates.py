"""When schedules run: Prefect's own times, also where clocks change, and one sentence for what is no time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from deployments.dates import When, clock_changes, in_words, interval_of, local_zone, make_when, shown
from wilss.errors import SpecError

PARIS = "Europe/Paris"
BEFORE_THE_GAP = datetime(2027, 3, 27, 0, tzinfo=UTC)
"""The clocks go from 02:00 to 03:00 on 28 March 2027."""
BEFORE_THE_FOLD = datetime(2026, 10, 24, 0, tzinfo=UTC)
"""They go from 03:00 back to 02:00 on 25 October 2026."""


def of(when: When, after: datetime, number: int = 3) -> list[str]:
    return [shown(time).split(" ", 1)[1] for time in when.times(number, after)]


def test_a_time_that_is_skipped_runs_an_hour_later() -> None:
    daily = When(cron="30 2 * * *", timezone=PARIS)
    assert of(daily, BEFORE_THE_GAP) == [
        "2027-03-27 02:30 +01:00",
        "2027-03-28 03:30 +02:00",
        "2027-03-29 02:30 +02:00",
    ]


def test_a_time_that_comes_twice_runs_once() -> None:
    daily = When(cron="30 2 * * *", timezone=PARIS)
    assert of(daily, BEFORE_THE_FOLD) == [
        "2026-10-24 02:30 +02:00",
        "2026-10-25 02:30 +02:00",
        "2026-10-26 02:30 +01:00",
    ]


def test_asked_between_the_two_it_does_not_run_again() -> None:
    """The server asks for more times at every moment: none comes of it twice (prefect#7381)."""
    daily, between = When(cron="30 2 * * *", timezone=PARIS), datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    assert of(daily, between, 1) == ["2026-10-26 02:30 +01:00"]


def test_an_hourly_expression_passes_over_the_hour_that_comes_twice() -> None:
    hourly = When(cron="30 * * * *", timezone=PARIS)
    night = datetime(2026, 10, 24, 23, tzinfo=UTC)
    assert of(hourly, night) == ["2026-10-25 01:30 +02:00", "2026-10-25 02:30 +02:00", "2026-10-25 03:30 +01:00"]


@pytest.mark.parametrize("hours", [1, 6, 24, 72])
@pytest.mark.parametrize("begin", [BEFORE_THE_GAP, BEFORE_THE_FOLD])
def test_intervals_keep_their_length_and_their_times_whenever_they_are_asked(hours: int, begin: datetime) -> None:
    every = When(every=hours * 3600, timezone=PARIS, start="2026-10-20T02:30:00+02:00")
    whole = [time.astimezone(UTC) for time in every.times(30, begin)]
    assert {b - a for a, b in pairwise(whole)} == {timedelta(hours=hours)}
    for time in whole[::7]:
        assert every.times(1, time)[0] == time


def test_the_note_says_when_and_what_happens() -> None:
    note = When(cron="30 2 * * *", timezone=PARIS).note(BEFORE_THE_GAP)
    assert note.startswith("Europe/Paris changes its clocks on 2027-03-28 and on 2027-10-31: ")
    assert "skipped then runs an hour later, a time that comes twice runs once" in note
    assert "the hour on the clock moves" in When(every=3600, timezone=PARIS, start="2027-01-01").note(BEFORE_THE_GAP)
    assert When(cron="30 2 * * *", timezone="UTC").note() == ""


def test_clock_changes_are_found_to_the_minute() -> None:
    gap, fold = clock_changes(PARIS, BEFORE_THE_GAP)
    assert abs(gap - datetime(2027, 3, 28, 1, tzinfo=UTC)) <= timedelta(minutes=1)
    assert abs(fold - datetime(2027, 10, 31, 1, tzinfo=UTC)) <= timedelta(minutes=1)


def test_what_is_posted_is_what_the_server_takes() -> None:
    from prefect.server.schemas.actions import DeploymentScheduleCreate

    for when in (make_when("0 3 * * *", None, PARIS, None), make_when(None, "6h", PARIS, None)):
        assert DeploymentScheduleCreate.model_validate({"schedule": when.posted, "slug": "a"})


def test_an_interval_begins_with_its_start() -> None:
    start = (datetime.now(UTC) + timedelta(hours=5)).replace(microsecond=0)
    assert make_when(None, "6h", "UTC", start.isoformat()).times(1) == [start]


@pytest.mark.parametrize(
    ("text", "seconds"), [("30m", 1800), ("6h", 21600), ("1h30m", 5400), ("1d", 86400), ("2w", 1209600)]
)
def test_intervals_in_words(text: str, seconds: int) -> None:
    assert interval_of(text) == timedelta(seconds=seconds)
    assert interval_of(in_words(interval_of(text))) == interval_of(text)


NONE = (None, None, None, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (NONE, "say when it runs: --cron '0 3 * * *' or --every 6h, one of them"),
        (("0 3 * * *", "6h", None, None), "one of them"),
        (("0 3 * *", None, None, None), "'0 3 * *' is no cron expression: it has five parts"),
        (("* * * * * *", None, None, None), "it has five parts"),
        (("0 33 * * *", None, None, None), "'0 33 * * *' is no cron expression ("),
        (("0 3 31 2 *", None, None, None), "'0 3 31 2 *' never comes: there is no such day"),
        ((None, "6x", None, None), "'6x' is no time between runs; write it as 30m, 6h"),
        ((None, "5s", None, None), "between two runs are one minute to 366 days"),
        ((None, "6h", "Europe/Pariss", None), "unknown time zone 'Europe/Pariss'. Did you mean 'Europe/Paris'?"),
        ((None, "6h", "paris", None), "Did you mean 'Europe/Paris'?"),
        ((None, "6h", "../../etc/passwd", None), "unknown time zone '../../etc/passwd'. Write one of IANA's names"),
        ((None, "6h", PARIS, "2020-01-01"), "--first 2020-01-01 lies in the past (Wed 2020-01-01 00:00 +01:00)"),
        ((None, "6h", PARIS, "2099-01-01"), "--first 2099-01-01 is more than one interval of 6h ahead"),
        ((None, "6h", PARIS, "soon"), "'soon' is no time; write it as 2026-11-30T03:00"),
        (("0 3 * * *", None, None, "2099-01-01"), "--first is of --every"),
    ],
)
def test_what_is_no_time_is_one_sentence(given: tuple[str | None, ...], message: str) -> None:
    with pytest.raises(SpecError) as error:
        make_when(*given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_zone_of_the_machine_is_one_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert local_zone() == "Asia/Tokyo"
    monkeypatch.setenv("TZ", "CET-1CEST")
    assert local_zone() == "UTC"
