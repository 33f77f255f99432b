"""When a schedule runs: as it is written, the times that come, and what happens where clocks change.

The times are those of Prefect's own schedules, as its server takes them.
"""

from __future__ import annotations

import difflib
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict

from wilss.errors import SpecError

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
EVERY = re.compile(r"(?:\d{1,6}[smhdw])+")
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=366)
SHOWN = 3
"""Times that are shown of a schedule."""
LOCALTIME = Path("/etc/localtime")


class When(BaseModel):
    """When a schedule runs: ``cron`` in a time zone, or ``every`` so many seconds, shown in it.

    start: of an interval, ISO with its offset; every time is a whole number of intervals away from it. Intervals are
    always counted in UTC: in a zone that changes its clocks, Prefect's stay an hour late once they met a skipped hour.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str | None = None
    every: float | None = None
    timezone: str = "UTC"
    start: str | None = None

    @property
    def posted(self) -> dict[str, Any]:
        """As the server takes it."""
        if self.cron is not None:
            return {"cron": self.cron, "timezone": self.timezone}
        return {"interval": self.every, "anchor_date": self.start, "timezone": "UTC"}

    @property
    def words(self) -> str:
        """For people."""
        how = (
            f"cron '{self.cron}'" if self.cron is not None else f"every {in_words(timedelta(seconds=self.every or 0))}"
        )
        return f"{how}, {self.timezone}"

    def times(self, number: int = SHOWN, after: datetime | None = None) -> list[datetime]:
        """The next times, in the zone of the schedule."""
        from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule

        kind = CronSchedule if self.cron is not None else IntervalSchedule
        dates = kind.model_validate(self.posted)._get_dates_generator(n=number, start=after or datetime.now(UTC))
        zone = ZoneInfo(self.timezone)
        return sorted(datetime.fromtimestamp(date.timestamp(), zone) for date in dates)

    def note(self, after: datetime | None = None) -> str:
        """What happens where the zone changes its clocks, "" where it does not."""
        changes = clock_changes(self.timezone, after or datetime.now(UTC))
        if not changes:
            return ""
        dates = " and on ".join(f"{change:%Y-%m-%d}" for change in changes)
        if self.cron is not None:
            rule = "a time that is skipped then runs an hour later, a time that comes twice runs once, the first time"
        else:
            rule = "the time between two runs stays the same, so the hour on the clock moves (--cron keeps the hour)"
        return f"{self.timezone} changes its clocks on {dates}: {rule}"


def make_when(cron: str | None, every: str | None, timezone: str | None, start: str | None) -> When:
    """When a schedule runs, of what was written.

    Raises SpecError for none or both of cron and every, an expression or a time that is none, an unknown time zone,
    and a start that lies in the past or more than one interval ahead.
    """
    if (cron is None) == (every is None):
        raise SpecError("say when it runs: --cron '0 3 * * *' or --every 6h, one of them")
    zone = require_zone(timezone or local_zone())
    if every is not None:
        interval = interval_of(every)
        begin = _start(start, zone, interval)
        return When(every=interval.total_seconds(), timezone=zone, start=begin.isoformat())
    if start is not None:
        raise SpecError("--first is of --every; a cron expression says itself when it runs")
    when = When(cron=_require_cron(cron or ""), timezone=zone)
    from prefect._vendor.croniter.croniter import CroniterBadDateError

    try:
        when.times(1)
    except CroniterBadDateError as error:
        raise SpecError(f"'{cron}' never comes: there is no such day; write another one") from error
    return when


def require_zone(name: str) -> str:
    """The same name. Raises SpecError for one that is no time zone of IANA's."""
    known = available_timezones()
    if name in known:
        return name
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    of_city = [zone for zone in sorted(known) if zone.rpartition("/")[2].casefold() == name.strip().casefold()]
    meant = [*of_city, *close]
    told = f"Did you mean '{meant[0]}'?" if meant else "Write one of IANA's names, such as Europe/Paris or UTC."
    raise SpecError(f"unknown time zone '{name:.60}'. {told}")


def local_zone() -> str:
    """The time zone of this machine by its name, UTC where it tells none."""
    told = os.environ.get("TZ", "").lstrip(":")
    if not told and LOCALTIME.is_symlink():
        told = str(LOCALTIME.resolve()).partition("/zoneinfo/")[2]
    return told if told in available_timezones() else "UTC"


def interval_of(text: str) -> timedelta:
    """Six hours of "6h", 90 minutes of "1h30m". Raises SpecError for another text, or less than a minute."""
    if not EVERY.fullmatch(text):
        raise SpecError(f"'{text:.60}' is no time between runs; write it as 30m, 6h, 1h30m, 1d or 2w")
    parts = re.findall(r"(\d+)([smhdw])", text)
    interval = sum((timedelta(**{UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
    if not SHORTEST <= interval <= LONGEST:
        raise SpecError(f"'{text}' is {in_words(interval)}; between two runs are one minute to 366 days")
    return interval


def in_words(interval: timedelta) -> str:
    """An interval as `interval_of` takes it."""
    rest, found = int(interval.total_seconds()), ""
    for unit, seconds in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, seconds)
        found += f"{number}{unit}" if number else ""
    return found or "0s"


def clock_changes(timezone: str, after: datetime) -> list[datetime]:
    """The next two moments, within a year, at which the clocks of a zone change."""
    zone, found = ZoneInfo(timezone), []
    for day in range(366):
        at, then = after + timedelta(days=day), after + timedelta(days=day + 1)
        if at.astimezone(zone).utcoffset() != then.astimezone(zone).utcoffset():
            found.append(_change(at, then, zone))
    return found[:2]


def _change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The moment between two at which a zone has another offset than at the first."""
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(minutes=1):
        middle = low + (high - low) / 2
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
    return high.astimezone(zone)


def shown(time: datetime) -> str:
    """A time with its offset: Sun 2026-10-25 02:30 +02:00."""
    offset, seconds = time.strftime("%z"), f":{time:%S}" if time.second else ""
    return f"{time:%a %Y-%m-%d %H:%M}{seconds} {offset[:3]}:{offset[3:5]}"


def _require_cron(text: str) -> str:
    """The same expression. Raises SpecError for one that Prefect does not take."""
    from prefect.server.schemas.schedules import CronSchedule
    from pydantic import ValidationError

    if len(text.split()) != 5:
        raise SpecError(
            f"'{text:.60}' is no cron expression: it has five parts, minute hour day month weekday, such as '0 3 * * *'"
        )
    try:
        CronSchedule(cron=text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SpecError(f"'{text:.60}' is no cron expression ({reason:.200}); write it as '0 3 * * *'") from error
    return text


def _start(text: str | None, timezone: str, interval: timedelta) -> datetime:
    """When an interval begins: now if nothing is said; a time without an offset is one of the zone."""
    now, zone = datetime.now(UTC), ZoneInfo(timezone)
    if text is None:
        return (now + interval).astimezone(zone).replace(microsecond=0)
    try:
        start = datetime.fromisoformat(text)
    except ValueError as error:
        raise SpecError(f"'{text:.60}' is no time; write it as 2026-11-30T03:00, or with an offset") from error
    start = (start if start.tzinfo else start.replace(tzinfo=zone)).astimezone(UTC)
    if start < now:
        raise SpecError(f"--first {text} lies in the past ({shown(start.astimezone(zone))}); give a time that comes")
    if start - now > interval:
        raise SpecError(
            f"--first {text} is more than one interval of {in_words(interval)} ahead, and runs would begin before it; "
            "give a time within that"
        )
    return start.astimezone(zone)
