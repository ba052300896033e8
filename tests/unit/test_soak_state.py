"""The soak's comparison sees what a killed run may leave behind; one that cannot see it proves nothing."""

import fcntl
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from bench.soaking.state import differences

TABLES = {
    "raw/shopify/customers/a.parquet": "SELECT 'c1' AS id, 'h1' AS _row_hash, now()::TIMESTAMP AS _landed_at",
    "raw/ga4/events/20261018.parquet": "SELECT 'view' AS event_name, now()::TIMESTAMP AS _landed_at FROM range(2)",
    "raw/mailchimp/members/a.parquet": """SELECT 'm1' AS id, 'l1' AS list_id, 'subscribed' AS status,
        TIMESTAMP '2026-10-18' AS last_changed, NULL::TIMESTAMP AS timestamp_signup, NULL::TIMESTAMP AS timestamp_opt,
        'h1' AS _row_hash, TIMESTAMP '2026-10-18' AS _landed_at""",
    "rejected/shopify/orders/a.parquet": "SELECT 'not JSON' AS _reason, now()::TIMESTAMP AS _landed_at",
    "marts/vip/data.parquet": "SELECT 'c1' AS customer_id, 1.5 AS spent",
    "scores/churn/data.parquet": "SELECT 'c1' AS customer_id, 0.25 AS churn_probability",
    "receipts/meta/vip/000000000003.parquet": """SELECT 3 AS sequence, 'a1' AS audience_id, 'k1' AS member_key,
        'add' AS action, 'confirmed' AS state, TIMESTAMP '2026-10-18' AS as_of""",
}


def write(lake: Path, name: str, sql: str) -> None:
    (lake / name).parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({sql}) TO '{lake / name}' (FORMAT parquet)")


@pytest.fixture
def expected(tmp_path: Path) -> Path:
    folder = tmp_path / "expected"
    for name, sql in TABLES.items():
        write(folder / "lake", name, sql)
    with duckdb.connect(str(folder / "lake/warehouse.duckdb")) as connection:
        connection.execute("CREATE SCHEMA steps; CREATE TABLE steps.order_facts AS SELECT 1 AS order_count")
    (folder / "lake/scores/churn/card.json").write_text('{"version": "v1"}')
    (folder / "lake/models/churn").mkdir(parents=True)
    (folder / "lake/models/churn/current.json").write_text('{"version": "v1"}')
    (folder / "lake/_writing").mkdir()
    (folder / "vendors.json").write_text(json.dumps({"meta": {"audiences": [{"name": "vip", "users": ["k1"]}]}}))
    return folder


@pytest.fixture
def found(expected: Path, tmp_path: Path) -> Path:
    return shutil.copytree(expected, tmp_path / "found")


def test_equal_states_have_no_difference(expected: Path, found: Path) -> None:
    assert differences(expected, found) == []


def test_clocks_and_order_of_commits_do_not_count(expected: Path, found: Path) -> None:
    lake = found / "lake"
    write(lake, "raw/shopify/customers/a.parquet", TABLES["raw/shopify/customers/a.parquet"])
    write(lake, "receipts/meta/vip/000000000009.parquet", TABLES["receipts/meta/vip/000000000003.parquet"])
    (lake / "receipts/meta/vip/000000000003.parquet").unlink()
    (lake / "_writing/half.parquet").write_bytes(b"PAR1")
    assert differences(expected, found) == []


def test_an_older_version_of_a_member_seen_on_the_way_does_not_count(expected: Path, found: Path) -> None:
    older = TABLES["raw/mailchimp/members/a.parquet"].replace("2026-10-18", "2026-10-17").replace("'h1'", "'h0'")
    write(found / "lake", "raw/mailchimp/members/0.parquet", older)
    assert differences(expected, found) == []


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a row twice": (
        lambda lake: write(lake, "raw/shopify/customers/b.parquet", TABLES["raw/shopify/customers/a.parquet"]),
        "landed more than once",
    ),
    "a partition twice": (
        lambda lake: write(lake, "raw/ga4/events/20261019.parquet", TABLES["raw/ga4/events/20261018.parquet"]),
        "raw/ga4/events: 2 rows too many",
    ),
    "a row missing": (
        lambda lake: write(lake, "marts/vip/data.parquet", TABLES["marts/vip/data.parquet"] + " WHERE false"),
        "marts/vip: 1 rows missing",
    ),
    "a member's status": (
        lambda lake: write(
            lake,
            "raw/mailchimp/members/a.parquet",
            TABLES["raw/mailchimp/members/a.parquet"].replace("'subscribed'", "'cleaned'"),
        ),
        "raw/mailchimp/members: 1 rows missing",
    ),
    "a rejected row twice": (
        lambda lake: write(lake, "rejected/shopify/orders/b.parquet", TABLES["rejected/shopify/orders/a.parquet"]),
        "rejected/shopify/orders: 1 rows too many",
    ),
    "a score": (
        lambda lake: write(lake, "scores/churn/data.parquet", "SELECT 'c1' AS customer_id, 0.26 AS churn_probability"),
        "scores/churn: 1 rows",
    ),
    "a receipt not settled": (
        lambda lake: write(
            lake,
            "receipts/meta/vip/000000000004.parquet",
            TABLES["receipts/meta/vip/000000000003.parquet"].replace("3 AS", "4 AS").replace("'confirmed'", "'sent'"),
        ),
        "receipts/meta/vip: 1 rows",
    ),
    "a file half written": (
        lambda lake: (lake / "marts/vip/data.parquet").write_bytes(b"PAR1"),
        "marts/vip: unreadable",
    ),
    "a dataset too many": (
        lambda lake: write(lake, "marts/half/data.parquet", "SELECT 1 AS x"),
        "marts/half: there, although an undisturbed run leaves none",
    ),
    "a file left where readers look": (
        lambda lake: (lake / "marts/vip/data.parquet.tmp").write_bytes(b""),
        "left behind: marts/vip/data.parquet.tmp",
    ),
    "a step of the warehouse": (
        lambda lake: (
            duckdb.connect(str(lake / "warehouse.duckdb")).execute("INSERT INTO steps.order_facts VALUES (2)").close()
        ),
        "warehouse steps.order_facts: 1 rows too many",
    ),
    "another model": (
        lambda lake: (lake / "models/churn/current.json").write_text('{"version": "v2"}'),
        "models/churn/current.json version: 'v2' instead of 'v1'",
    ),
    "another card": (
        lambda lake: (lake / "scores/churn/card.json").write_text('{"version": "v2"}'),
        "scores/churn/card.json.version",
    ),
    "a person twice at a vendor": (
        lambda lake: (lake.parent / "vendors.json").write_text(
            json.dumps({"meta": {"audiences": [{"name": "vip", "users": ["k1", "k1"]}]}})
        ),
        "vendors.meta.audiences",
    ),
}


@pytest.mark.parametrize("what", SPOILED)
def test_every_trace_of_a_kill_is_told(what: str, expected: Path, found: Path) -> None:
    spoil, said = SPOILED[what]
    spoil(found / "lake")
    told = differences(expected, found)
    assert any(said in line for line in told), told


def test_a_lock_still_held_is_told(expected: Path, found: Path) -> None:
    with (found / "lake/_writing/meta-vip.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "meta-vip.lock is still locked" in differences(expected, found)
