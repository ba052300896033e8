"""A day on which snapshots of the past become others: what was kept and what is worked out equal a build of all."""

from pathlib import Path

import duckdb
import pytest

from connectors.sandbox.world import World
from tests.dbt_build import build, dbt, mart, rows
from tests.world_lake import write_world

DAY_AFTER = "2026-10-19T15:00:00Z"
CLOCKS = "('2026-10-18 15:00:00', '2026-10-19 15:00:00')"
TABLES = ("customer_snapshots", "customer_category_snapshots")
# stream → what replaces the columns of some of its records, months after they happened
LATE = {
    "shopify/orders": (
        """CASE hash(id) % 3 WHEN 0 THEN createdAt - INTERVAL 40 DAY ELSE createdAt END AS createdAt,
        CASE hash(id) % 3 WHEN 1 THEN createdAt + INTERVAL 1 DAY END AS cancelledAt,
        CASE hash(id) % 3 WHEN 2 THEN [{id: 'late-' || id, createdAt: createdAt + INTERVAL 2 DAY,
          totalRefundedSet: totalPriceSet}] ELSE refunds END AS refunds,
        TIMESTAMP '2026-10-19 02:00:00' AS updatedAt""",
        "hash(id) % 41 = 0",
    ),
    "shopify/abandoned_checkouts": (
        "createdAt + INTERVAL 1 MINUTE AS completedAt, TIMESTAMP '2026-10-19 02:00:00' AS updatedAt",
        "hash(id) % 7 = 0",
    ),
    "shopify/customers": (
        """struct_update(defaultEmailAddress, marketingState := 'UNSUBSCRIBED',
          marketingUpdatedAt := TIMESTAMP '2026-01-05 00:00:00') AS defaultEmailAddress,
        TIMESTAMP '2026-10-19 02:00:00' AS updatedAt""",
        "hash(id) % 43 = 0",
    ),
}


@pytest.fixture(scope="module")
def lake(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once, then with late news of orders, checkouts, consents, visits and mail."""
    root = write_world(tmp_path_factory.mktemp("kept"), world.path)
    build(root, *TABLES)
    for table in TABLES:
        Path(root / f"{table}.before").hardlink_to(root / f"marts/{table}/data.parquet")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for stream, (replaced, chosen) in LATE.items():
            raw = root / "raw" / stream
            connection.execute(f"""
                COPY (SELECT * REPLACE ({replaced}, TIMESTAMP '2026-10-19 03:00:00' AS _landed_at,
                  md5('late' || id) AS _row_hash) FROM '{raw}/0001.parquet' WHERE {chosen})
                TO '{raw}/0002.parquet' (FORMAT parquet)""")
        events = root / "raw/ga4/events"
        connection.execute(f"""
            COPY (SELECT * REPLACE (event_timestamp + 60000000 AS event_timestamp, 'view_item' AS event_name)
              FROM '{events}/0001.parquet' WHERE _table = '20260420')
            TO '{events}/20260420.parquet' (FORMAT parquet)""")
        mail = root / "raw/mailchimp/email_activity/0001.parquet"
        connection.execute(f"""
            COPY (SELECT * REPLACE (CASE WHEN hash(email_id) % 17 <> 0 THEN activity END AS activity) FROM '{mail}')
            TO '{mail}.late' (FORMAT parquet)""")
        Path(f"{mail}.late").replace(mail)
    return root


def test_a_day_with_late_news_equals_a_full_refresh(lake: Path) -> None:
    models = [f"+{table}" for table in TABLES]
    without_tests = ("--exclude-resource-type", "test", "unit_test", "--select", *models)
    dbt(lake, "build", *without_tests, as_of=DAY_AFTER)
    for table in TABLES:
        Path(lake / f"{table}.day").hardlink_to(lake / f"marts/{table}/data.parquet")
    dbt(lake, "build", "--full-refresh", *without_tests, as_of=DAY_AFTER)
    for table in TABLES:
        before, day = (f"read_parquet('{lake}/{table}.{which}')" for which in ("before", "day"))
        refreshed = mart(lake, table)
        assert rows(f"FROM {day} EXCEPT ALL FROM {refreshed}") == []
        assert rows(f"FROM {refreshed} EXCEPT ALL FROM {day}") == []
        past = f"WHERE as_of NOT IN {CLOCKS}"
        changed, all_of_them = rows(f"""
            SELECT (SELECT count(*) FROM (FROM {day} {past} EXCEPT ALL FROM {before} {past})),
              (SELECT count(*) FROM {day} {past})""")[0]
        assert 0 < changed < all_of_them
