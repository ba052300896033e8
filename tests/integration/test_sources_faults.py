"""Pulling while the vendor misbehaves: what arrives is right or nothing, and the next pull is whole."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import ContractError, MalformedAnswer, Throttled, VendorDown
from connectors.extract import PullFailed, pull
from connectors.lake import Lake
from connectors.landing import current_rows
from connectors.sandbox.server import Sandbox
from connectors.sandbox.state import copy_prepared
from connectors.sandbox.world import World
from connectors.sources import SOURCES, ga4, hubspot, mailchimp, meta_insights
from connectors.stream import Source
from tests.conftest import PACE

BY_NAME = {source.name: source for source in SOURCES}
# One stream a vendor; small, but of several pages (see `small_pages`).
STREAM = {
    "shopify": "customers",
    "hubspot": "contacts",
    "ga4": "events",
    "mailchimp": "members",
    "meta": "insights",
    "google_ads": "campaign_days",
}
# Where a page of rows is asked for, and how a later one is told from the first.
PAGES = {
    "shopify": {"path": "graphql", "body": "customers\\("},
    "hubspot": {"path": "objects/2026-09/contacts"},
    "ga4": {"path": "/queries"},
    "mailchimp": {"path": "/members"},
    "meta": {"path": r"/\d+/insights"},
    "google_ads": {"path": "searchStream"},
}
# What a vendor cannot meet, or cannot be told from the truth.
CANNOT = {
    ("hubspot", "expired_token"): "the vendor's token does not expire",
    ("mailchimp", "expired_token"): "the vendor's token does not expire",
    ("meta", "expired_token"): "a token that has ended is a person's to renew",
    ("google_ads", "empty_page"): "a stream without rows is how days without ads look; it carries no total",
}
every_vendor = pytest.mark.parametrize("vendor", list(STREAM))


@pytest.fixture(scope="module")
def running(world: World, prepared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for all of them: faults spoil what vendors answer, never what they hold."""
    directory = tmp_path_factory.mktemp("faults") / "sandbox"
    copy_prepared(prepared_state, directory)
    with Sandbox(world, directory, pace=PACE) as sandbox:
        sandbox.execute("DELETE FROM ga4_events WHERE table_date < '20261016'")
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    running.requests.clear()
    yield running
    running.faults.clear()


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several pages from little data, and patience for a second or two."""
    monkeypatch.setattr(hubspot, "LIST_PAGE", 40)
    monkeypatch.setattr(mailchimp, "PAGE", 30)
    monkeypatch.setattr(mailchimp, "PAGE_OVERLAP", 3)
    monkeypatch.setattr(ga4, "ROWS_AT_ONCE", 40)
    monkeypatch.setattr(meta_insights, "PAGE", 30)
    monkeypatch.setattr(meta_insights, "FIRST_POLL_SECONDS", 0.02)
    monkeypatch.setattr("connectors.sources.shopify.PAGE", {"customers": 40})
    monkeypatch.setattr("connectors.sources.shopify.Shopify.is_large", lambda *_: False)
    monkeypatch.setattr("connectors.http.FIRST_WAIT_SECONDS", 0.05)
    monkeypatch.setenv("KIZUNA_AS_OF", "2026-10-18T15:00:00Z")
    monkeypatch.setenv("KIZUNA_RETRY_SECONDS", "20")


def rows(lake: Lake, source: Source) -> dict[tuple[Any, ...], str]:
    """Key → hash of what is in the lake now (rows of a partition by their hash and place)."""
    stream = source.stream(STREAM[source.name])
    files = lake.files(f"raw/{source.name}/{stream.name}")
    if not files:
        return {}
    with lake.connect() as connection:
        if stream.partition_by:
            found = connection.execute(
                "SELECT row_number() OVER (ORDER BY _table, _row_hash), _row_hash FROM read_parquet(?)", [files]
            ).fetchall()
        else:
            keys = ", ".join(f'"{name}"' for name in stream.key)
            found = connection.execute(f"SELECT {keys}, _row_hash FROM ({current_rows(stream, files)})").fetchall()
    return {tuple(row[:-1]): row[-1] for row in found}


@pytest.fixture(scope="module")
def landed() -> dict[str, dict[tuple[Any, ...], str]]:
    """Vendor → what a pull without any fault landed."""
    return {}


@pytest.fixture
def undisturbed(
    environment: dict[str, str], tmp_path: Path, landed: dict[str, dict[tuple[Any, ...], str]]
) -> Callable[[str], dict[tuple[Any, ...], str]]:
    """What a pull without any fault lands."""

    def of(vendor: str) -> dict[tuple[Any, ...], str]:
        if vendor not in landed:
            lake = Lake(tmp_path / "undisturbed")
            pull(BY_NAME[vendor], lake, streams=[STREAM[vendor]])
            landed[vendor] = rows(lake, BY_NAME[vendor])
        return landed[vendor]

    return of


def pull_one(vendor: str, lake: Lake) -> Any:
    [result] = pull(BY_NAME[vendor], lake, streams=[STREAM[vendor]])
    return result


PASSING = {
    "429": {"times": 2},
    "429_retry_after": {"times": 2, "seconds": 0.2},
    "500_before": {"times": 2},
    "500_after_commit": {},
    "timeout": {"seconds": 0.1},
    "dropped_after_commit": {},
    "expired_token": {},
    "malformed_json": {},
    "empty_page": {},
    "duplicate_page": {"after": 1},
    "partial": {},
}


@every_vendor
@pytest.mark.parametrize("kind", list(PASSING))
def test_passing_fault_changes_nothing(
    vendor: str, kind: str, sandbox: Sandbox, lake: Lake, undisturbed: Callable[[str], dict[tuple[Any, ...], str]]
) -> None:
    if (vendor, kind) in CANNOT:
        pytest.skip(CANNOT[vendor, kind])
    expected = undisturbed(vendor)
    assert expected
    fault = sandbox.fault(vendor, kind, **(PAGES[vendor] | PASSING[kind]))
    result = pull_one(vendor, lake)
    assert rows(lake, BY_NAME[vendor]) == expected
    if kind in ("partial", "duplicate_page") and not fault.fired:
        pytest.skip("the vendor's answer offers nothing to spoil this way")
    if kind == "empty_page" and vendor != "ga4":
        # An empty page in the middle cannot be true and is asked for again; the vendor says so at the first page.
        assert fault.fired
    if kind.startswith("429"):
        assert result.throttled_seconds > 0


def test_shopifys_throttling_inside_a_200_is_waited_out(
    sandbox: Sandbox, lake: Lake, undisturbed: Callable[[str], dict[tuple[Any, ...], str]]
) -> None:
    expected = undisturbed("shopify")
    sandbox.fault("shopify", "throttled", times=2, path="graphql")
    result = pull_one("shopify", lake)
    assert rows(lake, BY_NAME["shopify"]) == expected
    assert result.throttled_seconds > 0.5


def test_records_that_failed_inside_a_batch_are_asked_for_again(
    sandbox: Sandbox, environment: dict[str, str], lake: Lake, tmp_path: Path
) -> None:
    pull(BY_NAME["hubspot"], lake, streams=["consents"])
    other = Lake(tmp_path / "other")
    fault = sandbox.fault("hubspot", "partial", path="statuses/batch/read")
    pull(BY_NAME["hubspot"], other, streams=["consents"])
    assert fault.fired == 1
    stream = hubspot.SOURCE.stream("consents")
    found = []
    for one in (lake, other):
        with one.connect() as connection:
            sql = current_rows(stream, one.files("raw/hubspot/consents"))
            found.append(connection.execute(f"SELECT * FROM ({sql}) ORDER BY ALL").fetchall())
    assert found[0] == found[1]


LASTING = {
    "429": Throttled,
    "500_before": VendorDown,
    "down": VendorDown,
    "malformed_json": MalformedAnswer,
}


@every_vendor
@pytest.mark.parametrize("kind", list(LASTING))
def test_lasting_fault_lands_nothing_and_the_next_pull_everything(
    vendor: str,
    kind: str,
    sandbox: Sandbox,
    lake: Lake,
    undisturbed: Callable[[str], dict[tuple[Any, ...], str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = undisturbed(vendor)
    monkeypatch.setenv("KIZUNA_RETRY_SECONDS", "0.5")
    where = {} if kind == "down" else PAGES[vendor]
    sandbox.fault(vendor, kind, times=None, **where)
    with pytest.raises(PullFailed) as caught:
        pull_one(vendor, lake)
    [error] = caught.value.errors.values()
    assert isinstance(error, LASTING[kind])
    assert rows(lake, BY_NAME[vendor]) == {}
    sandbox.faults.clear()
    pull_one(vendor, lake)
    assert rows(lake, BY_NAME[vendor]) == expected


FIELDS = {"shopify": "updatedAt", "hubspot": "createdAt", "ga4": "event_name", "mailchimp": "status"} | {
    "meta": "spend",
    "google_ads": "date",
}


@every_vendor
@pytest.mark.parametrize("kind", ["drop_field", "retype_field"])
def test_missing_or_retyped_field_is_a_broken_contract(
    vendor: str, kind: str, sandbox: Sandbox, environment: dict[str, str], lake: Lake
) -> None:
    sandbox.fault(vendor, kind, field=FIELDS[vendor], times=None, **PAGES[vendor])
    with pytest.raises(PullFailed) as caught:
        pull_one(vendor, lake)
    [error] = caught.value.errors.values()
    assert isinstance(error, ContractError)
    assert error.stream == f"{vendor}.{STREAM[vendor]}"
    assert error.field == FIELDS[vendor]
    assert rows(lake, BY_NAME[vendor]) == {}
    sandbox.faults.clear()
    pull_one(vendor, lake)
    assert rows(lake, BY_NAME[vendor])


def test_sample_of_a_personal_field_is_not_shown(sandbox: Sandbox, environment: dict[str, str], lake: Lake) -> None:
    sandbox.fault("mailchimp", "retype_field", field="email_address", value=["hidden@example.com"], times=None)
    with pytest.raises(
        PullFailed, match=r"mailchimp\.members\.email_address: is not VARCHAR.*a list \(personal"
    ) as caught:
        pull_one("mailchimp", lake)
    assert "hidden" not in str(caught.value)


def test_one_retyped_row_is_rejected_and_the_others_land(
    sandbox: Sandbox, environment: dict[str, str], lake: Lake
) -> None:
    sandbox.fault("mailchimp", "retype_field", field="status", limit=1, path="offset=0")
    result = pull_one("mailchimp", lake)
    assert result.rejected == 1
    assert result.rows == sandbox.execute("SELECT count(*) FROM mailchimp_members")[0][0] - 1
    with lake.connect() as connection:
        [(field, row)] = connection.execute(
            "SELECT _field, _row FROM read_parquet(?)", [lake.files("rejected/mailchimp/members")]
        ).fetchall()
    assert field == "status"
    assert json.loads(row)["email_address"]
    assert pull_one("mailchimp", lake).rejected == 0


def test_one_failing_stream_costs_the_others_nothing(
    sandbox: Sandbox, environment: dict[str, str], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.fault("hubspot", "retype_field", field="updatedAt", path="objects/2026-09/companies", times=None)
    with pytest.raises(PullFailed) as caught:
        pull(BY_NAME["hubspot"], lake)
    assert set(caught.value.errors) == {"companies"}
    assert {result.stream for result in caught.value.results} == {"contacts", "deals", "consents"}
    assert all(result.rows for result in caught.value.results)


def test_bulk_result_cut_short_is_not_believed(
    sandbox: Sandbox, environment: dict[str, str], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.sources.shopify.Shopify.is_large", lambda *_: True)
    sandbox.fault("shopify", "malformed_json", path="bulk-results", times=1)
    with pytest.raises(PullFailed, match="bulk result is"):
        pull_one("shopify", lake)
    assert lake.files("raw/shopify/customers") == []
    pull_one("shopify", lake)
    assert rows(lake, BY_NAME["shopify"])


KILLED = """
import sys
from connectors.extract import pull
from connectors.lake import Lake
from connectors.sources import SOURCES
for source in SOURCES:
    if source.name in sys.argv[2:]:
        pull(source, Lake(sys.argv[1]))
"""


@pytest.mark.slow
def test_killed_pull_leaves_whole_commits_and_the_next_converges(
    sandbox: Sandbox, environment: dict[str, str], tmp_path: Path
) -> None:
    expected_lake, lake = Lake(tmp_path / "expected"), Lake(tmp_path / "killed")
    names = ["hubspot", "ga4", "mailchimp"]
    for name in names:
        pull(BY_NAME[name], expected_lake)
    for delay in (1.2, 1.6, 2.0, 2.4):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, lake.root, *names],
            env=os.environ | environment,
            cwd=Path(__file__).resolve().parents[2],
        )
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for name in names:
            for stream in BY_NAME[name].streams:
                for file in lake.files(f"raw/{name}/{stream.name}"):
                    with lake.connect() as connection:
                        connection.execute("SELECT count(*) FROM read_parquet(?)", [file])
    for name in names:
        pull(BY_NAME[name], lake)
        assert rows(lake, BY_NAME[name]) == rows(expected_lake, BY_NAME[name])
