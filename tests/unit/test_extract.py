"""Pulling a made-up vendor: bookmarks, sweeps, failures apart, on a disk and at a URL."""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
from pydantic import Field, SecretStr

from connectors.errors import VendorDown
from connectors.extract import PullFailed, bookmark, pull
from connectors.http import Session
from connectors.lake import Lake
from connectors.settings import SettingsError, VendorConfig, vendor_settings
from connectors.stream import Bookmark, Page, Source, Stream, columns

NOW = datetime(2026, 10, 18, 15, tzinfo=UTC)
TYPES = {"id": "VARCHAR", "updatedAt": "TIMESTAMP", "name": "VARCHAR"}
PEOPLE = Stream("people", columns(TYPES, required=("id", "updatedAt")), cursor="updatedAt")
THINGS = Stream("things", columns(TYPES, required=("id", "updatedAt")), cursor="updatedAt", sweep_every=None)
DAYS = Stream(
    "days",
    columns({"day": "VARCHAR", "name": "VARCHAR"}),
    key=(),
    partition_by="day",
    sweep_every=None,
    provisional="intraday_",
)


class AcmeConfig(VendorConfig):
    """A made-up vendor."""

    model_config = vendor_settings("ACME_")

    token: SecretStr = Field(description="Token of Acme")


@dataclass
class Acme:
    """Keeps its rows in memory and notes what it was asked."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    days: dict[str, list[str]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    session: Session = field(default_factory=lambda: Session("acme"))

    def read(self, stream: Stream, bookmark: Bookmark) -> Iterator[Page]:
        self.asked.append(("read", stream.name, bookmark.since))
        if stream.partition_by:
            for day, names in self.days.items():
                if bookmark.partitions.get(day) != str(len(names)):
                    yield Page([{"day": day, "name": n} for n in names], partitions={day: str(len(names))})
            return
        since = "" if bookmark.since is None else f"{bookmark.since:%Y-%m-%dT%H:%M:%SZ}"
        rows = [row for row in self.rows.get(stream.name, []) if row["updatedAt"] >= since]
        for at in range(0, len(rows), 2):
            yield Page(json.dumps({"rows": rows[at : at + 2]}).encode(), path=("rows",))
            if stream.name in self.down:
                raise VendorDown("acme GET /: HTTP 500")

    def keys(self, stream: Stream) -> Iterator[Page]:
        self.asked.append(("keys", stream.name, None))
        yield Page([{"id": row["id"]} for row in self.rows[stream.name]])

    def fetch(self, stream: Stream, keys: Sequence[str]) -> Iterator[Page]:
        self.asked.append(("fetch", stream.name, list(keys)))
        yield Page([row for row in self.rows[stream.name] if row["id"] in keys])


def person(number: int, day: int = 1, **changes: Any) -> dict[str, Any]:
    return {"id": f"p{number}", "updatedAt": f"2026-10-{day:02d}T00:00:00Z", "name": f"n{number}"} | changes


@pytest.fixture
def acme() -> Acme:
    return Acme(rows={"people": [person(n, n) for n in range(1, 6)], "things": [person(n, n) for n in range(1, 4)]})


@pytest.fixture
def source(acme: Acme) -> Source:
    return Source("acme", AcmeConfig, (PEOPLE, THINGS, DAYS), lambda config: acme)


@pytest.fixture(params=["disk", "memory"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lake]:
    yield Lake(tmp_path / "lake" if request.param == "disk" else f"memory://lake-{uuid.uuid4().hex}")
    fsspec.filesystem("memory").store.clear()


CONFIG = AcmeConfig(token=SecretStr("t"))


def by_stream(source: Source, lake: Lake, **keywords: Any) -> dict[str, Any]:
    return {r.stream: r for r in pull(source, lake, config=CONFIG, as_of=NOW, **keywords)}


def landed(lake: Lake, stream: str, select: str) -> list[tuple[Any, ...]]:
    with lake.connect() as connection:
        files = lake.files(f"raw/acme/{stream}")
        return connection.execute(f"SELECT {select} FROM read_parquet(?) ORDER BY ALL", [files]).fetchall()


def test_first_pull_reads_everything_and_the_second_from_the_bookmark(source: Source, acme: Acme, lake: Lake) -> None:
    first = by_stream(source, lake)
    assert (first["people"].rows, first["things"].rows) == (5, 3)
    assert first["people"].bookmark == datetime(2026, 10, 5, tzinfo=UTC) - PEOPLE.overlap
    second = by_stream(source, lake)
    assert (second["people"].rows, second["people"].commits) == (0, [])
    assert [since for what, name, since in acme.asked if (what, name) == ("read", "people")] == [
        None,
        datetime(2026, 10, 5, tzinfo=UTC) - PEOPLE.overlap,
    ]


def test_unconfigured_vendor_is_declared_and_not_asked(
    source: Source, acme: Acme, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pull(source, lake) == []
    assert acme.asked == []
    assert lake.exists("raw/acme/people/schema.parquet")
    monkeypatch.setenv("ACME_TOKEN", " ")
    assert pull(source, lake) == []


def test_half_configured_vendor_is_an_error_before_anything_is_read(
    acme: Acme, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TwoConfig(AcmeConfig):
        account: str = Field(description="Account at Acme")

    monkeypatch.setenv("ACME_TOKEN", "t")
    with pytest.raises(SettingsError, match="ACME_ACCOUNT is empty"):
        pull(Source("acme", TwoConfig, (PEOPLE,), lambda config: acme), lake)
    assert acme.asked == []


def test_failing_stream_lands_nothing_and_costs_the_others_nothing(source: Source, acme: Acme, lake: Lake) -> None:
    acme.down = {"people"}
    with pytest.raises(PullFailed, match=r"1 of 3 streams failed: acme\.people: acme GET /: HTTP 500") as caught:
        by_stream(source, lake)
    assert {result.stream for result in caught.value.results} == {"things", "days"}
    assert lake.files("raw/acme/people") == []
    assert len(landed(lake, "things", "id")) == 3
    acme.down = set()
    assert by_stream(source, lake)["people"].rows == 5


def test_row_changed_during_a_long_read_is_not_passed_by(
    source: Source, acme: Acme, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest cursor may be later than the moment the read began; what changed in between was perhaps missed."""
    began = datetime(2026, 10, 3, 12, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return began

    monkeypatch.setattr("connectors.landing.datetime", Clock)
    assert by_stream(source, lake)["people"].bookmark == began - PEOPLE.overlap


def test_bookmark_ignores_dates_of_the_future(source: Source, acme: Acme, lake: Lake) -> None:
    acme.rows["people"].append(person(6, updatedAt="2199-01-01T00:00:00Z"))
    by_stream(source, lake)
    assert bookmark("acme", PEOPLE, lake, NOW).since == datetime(2026, 10, 5, tzinfo=UTC) - PEOPLE.overlap


def test_sweep_buries_the_gone_fetches_the_overlooked_and_rests_a_day(source: Source, acme: Acme, lake: Lake) -> None:
    by_stream(source, lake)
    acme.rows["people"] = [row for row in acme.rows["people"] if row["id"] != "p2"] + [person(7, 1)]
    assert by_stream(source, lake)["people"].rows == 0
    later = by_stream(source, lake, sweep_every=timedelta(0))["people"]
    assert (later.rows, later.deleted) == (2, 1)
    assert ("fetch", "people", ["p2", "p7"]) in acme.asked
    assert landed(lake, "people", "id, _is_deleted, name")[-1] == ("p7", False, "n7")
    assert ("p2", True, None) in landed(lake, "people", "id, _is_deleted, name")
    before = len(acme.asked)
    by_stream(source, lake)
    assert not [what for what, *_ in acme.asked[before:] if what == "keys"]
    acme.rows["people"].append(person(2, 2))
    assert by_stream(source, lake, sweep_every=timedelta(0))["people"].rows == 1


def test_sweep_hours_are_configurable(source: Source, acme: Acme, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    by_stream(source, lake)
    monkeypatch.setenv("KIZUNA_SWEEP_HOURS", "0")
    by_stream(source, lake)
    assert ("keys", "people", None) in acme.asked
    assert ("keys", "things", None) not in acme.asked


def test_partitions_are_replaced_and_stand_ins_go(source: Source, acme: Acme, lake: Lake) -> None:
    acme.days = {"1": ["a", "b"], "intraday_2": ["c"]}
    assert by_stream(source, lake)["days"].rows == 3
    assert bookmark("acme", DAYS, lake, NOW).partitions == {"1": "2", "intraday_2": "1"}
    assert by_stream(source, lake)["days"].commits == []
    acme.days = {"1": ["a", "b", "z"], "2": ["c", "d"]}
    assert by_stream(source, lake)["days"].commits == ["1.parquet", "2.parquet"]
    assert landed(lake, "days", "day, name") == [("1", "a"), ("1", "b"), ("1", "z"), ("2", "c"), ("2", "d")]


def test_day_without_events_is_an_empty_partition(source: Source, acme: Acme, lake: Lake) -> None:
    acme.days = {"1": []}
    by_stream(source, lake)
    assert landed(lake, "days", "*") == []
    assert bookmark("acme", DAYS, lake, NOW).partitions == {"1": "0"}


def test_unknown_stream_is_named(source: Source, lake: Lake) -> None:
    with pytest.raises(KeyError, match="acme has no stream 'cats'; it has people, things, days"):
        pull(source, lake, config=CONFIG, streams=["cats"])


class Archiving(Acme):
    """Shows archived rows to a sweep and to no list, as HubSpot does."""

    def keys(self, stream: Stream) -> Iterator[Page]:
        yield from super().keys(stream)
        yield Page([person(99)], is_deleted=True)


@pytest.mark.parametrize("write", range(5))
def test_first_pull_killed_before_any_write_ends_as_an_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    rows = [*(person(n, n) for n in range(1, 29)), person(0, id=None)]
    source = Source("acme", AcmeConfig, (PEOPLE,), lambda config: Archiving(rows={"people": rows}))

    def kept(lake: Lake) -> list[Any]:
        with lake.connect() as connection:
            files = [f"{lake.root}/{kind}/acme/people/*.parquet" for kind in ("raw", "rejected")]
            return [
                connection.execute(f"SELECT {what} FROM read_parquet(?) ORDER BY ALL", [name]).fetchall()
                for what, name in zip(("id, _is_deleted", "_field, _reason, _row"), files, strict=True)
            ]

    undisturbed, killed = Lake(tmp_path / "undisturbed"), Lake(tmp_path / "killed")
    pull(source, undisturbed, config=CONFIG, as_of=NOW)
    left = [write]
    with monkeypatch.context() as patched:
        written = Lake._written_aside

        def dying(lake: Lake, path: str) -> Any:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return written(lake, path)

        patched.setattr(Lake, "_written_aside", dying)
        try:
            pull(source, killed, config=CONFIG, as_of=NOW)
        except KeyboardInterrupt:
            assert write < 4
        else:
            assert write == 4, "a pull has other writes than this test thinks"
    pull(source, killed, config=CONFIG, as_of=NOW)
    assert kept(killed) == kept(undisturbed)
