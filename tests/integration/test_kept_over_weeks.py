"""Kept models over weeks: time alone, and news of months ago, move what was built as a build from nothing would."""

import shutil
from pathlib import Path

import duckdb

from connectors.sandbox.world import World
from tests.dbt_build import WORLD_NOW, dbt, mart, rows
from tests.integration.test_kept_models import UNTESTED, differing, notes, rebuilt
from tests.world_lake import write_world

EARLIER, DAY_AFTER = "2026-09-08T15:00:00Z", "2026-10-19T15:00:00Z"
CLOCKS = "('2026-10-18 15:00:00', '2026-10-19 15:00:00')"
SNAPSHOTS = ("customer_snapshots", "customer_category_snapshots")
JOURNEYS = ("journey_browsing", "journey_events", "journey_orders")
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


def tell_late_news(lake: Path) -> None:
    """Of orders, checkouts, consents, visits, purchases that lost their id and mail, months after they happened."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for stream, (replaced, chosen) in LATE.items():
            raw = lake / "raw" / stream
            connection.execute(f"""
                COPY (SELECT * REPLACE ({replaced}, TIMESTAMP '2026-10-19 03:00:00' AS _landed_at,
                  md5('late' || id) AS _row_hash) FROM '{raw}/0001.parquet' WHERE {chosen})
                TO '{raw}/0002.parquet' (FORMAT parquet)""")
        events = lake / "raw/ga4/events"
        connection.execute(f"""
            COPY (SELECT * REPLACE (event_timestamp + 60000000 AS event_timestamp, 'view_item' AS event_name)
              FROM '{events}/0001.parquet' WHERE _table = '20260420')
            TO '{events}/20260420.parquet' (FORMAT parquet)""")
        connection.execute(f"""
            COPY (SELECT * REPLACE (struct_update(ecommerce, transaction_id := CAST(NULL AS VARCHAR)) AS ecommerce,
                event_timestamp + 1000000 AS event_timestamp) FROM '{events}/0001.parquet' WHERE _table = '20260421')
            TO '{events}/20260421.parquet' (FORMAT parquet)""")
        mail = lake / "raw/mailchimp/email_activity/0001.parquet"
        connection.execute(f"""
            COPY (SELECT * REPLACE (CASE WHEN hash(email_id) % 17 <> 0 THEN activity END AS activity) FROM '{mail}')
            TO '{mail}.late' (FORMAT parquet)""")
        Path(f"{mail}.late").replace(mail)


def test_weeks_and_late_news_end_where_a_build_from_nothing_does(world: World, tmp_path: Path) -> None:
    lake = write_world(tmp_path / "lake", world.path)
    # what was dated ahead of the clock, and every timer, counts when the clock has passed it
    dbt(lake, "build", *UNTESTED, as_of=EARLIER)
    before = notes(lake, JOURNEYS)
    dbt(lake, "build", *UNTESTED, as_of=WORLD_NOW)
    after = notes(lake, JOURNEYS)
    assert set(after) == set(JOURNEYS)
    assert all(after[name] == (version + 1, full) for name, (version, full) in before.items()), "built in full"
    past = {
        name: Path(shutil.copy(lake / f"marts/{name}/data.parquet", tmp_path / f"{name}.parquet")) for name in SNAPSHOTS
    }
    tell_late_news(lake)
    yesterday = Path(shutil.copytree(lake, tmp_path / "yesterday"))
    dbt(lake, "build", *UNTESTED, as_of=DAY_AFTER)
    # a large shop is built in parts; here every model of more than a thousand rows is
    in_parts = ("--vars", "{kept_part_rows: 1000}")
    assert differing(lake, rebuilt(yesterday, tmp_path / "anew", DAY_AFTER, *in_parts)) == []
    for name in SNAPSHOTS:
        then = f"WHERE as_of NOT IN {CLOCKS}"
        changed, of = rows(f"""
            SELECT (SELECT count(*) FROM (FROM {mart(lake, name)} {then} EXCEPT ALL FROM '{past[name]}' {then})),
              (SELECT count(*) FROM {mart(lake, name)} {then})""")[0]
        assert 0 < changed < of
