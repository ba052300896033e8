"""A snapshot knows nothing later than its date: all that happened after the date is changed, and no feature moves.

What is changed: later orders are moved, made dearer, larger and partly dropped; earlier ones are cancelled and refunded
after the date; later visits and readers of mail do other things; checkouts left before it are completed after it; later
statements about consent say the opposite. Who is who stays: it is today's knowledge at every date, on purpose.
"""

import json
import shutil
from pathlib import Path

import duckdb
import pytest
import yaml

from connectors.sandbox.world import World
from tests.dbt_build import PROJECT, build, dbt, mart, rows
from tests.world_lake import write_world

# A snapshot date of the grid with half of the year on either side.
CUT = "2026-04-07 00:00:00"
NOW = "2026-10-18 15:00:00"
TABLES = ("customer_snapshots", "customer_category_snapshots")
KEYS = ("customer_id", "as_of", "category")


def features() -> list[tuple[str, str]]:
    """Every feature of every snapshot table, from the contract: a new one is tested the moment it is listed."""
    declared = yaml.safe_load((PROJECT / "models/features/_features.yml").read_text("utf-8"))["models"]
    return [
        (model["name"], column["name"])
        for model in declared
        if model["name"] in TABLES
        for column in model["columns"]
        if column["name"] not in KEYS and not column["name"].startswith("outcome_")
    ]


def _later(column: str) -> str:
    return f"CASE WHEN {column} >= TIMESTAMP '{CUT}' THEN {column} + INTERVAL 20 HOUR ELSE {column} END"


def _after(column: str, then: str, otherwise: str) -> str:
    return f"CASE WHEN {column} >= TIMESTAMP '{CUT}' THEN {then} ELSE {otherwise} END"


def _dearer(bag: str) -> str:
    amount = _after("createdAt", f"{bag}.shopMoney.amount * 3", f"{bag}.shopMoney.amount")
    return f"{{shopMoney: {{amount: {amount}, currencyCode: {bag}.shopMoney.currencyCode}}}} AS {bag}"


def _opposite(state: str) -> str:
    return f"CASE {state} WHEN 'SUBSCRIBED' THEN 'UNSUBSCRIBED' WHEN 'UNSUBSCRIBED' THEN 'SUBSCRIBED' ELSE {state} END"


_UNDONE = f"hash(id) % 5 = 0 AND createdAt < TIMESTAMP '{CUT}' AND cancelledAt IS NULL"
_MAIL, _SMS = "defaultEmailAddress", "defaultPhoneNumber.smsMarketingConsent"
# stream → what replaces its columns, and which rows stay
CHANGES = {
    "shopify/orders": (
        f"""{_dearer("totalPriceSet")}, {_dearer("totalDiscountsSet")}, {_later("createdAt")} AS createdAt,
        CASE WHEN {_UNDONE} THEN TIMESTAMP '{CUT}' + INTERVAL 1 HOUR ELSE {_later("cancelledAt")} END AS cancelledAt,
        list_transform(lineItems, lambda l: struct_update(l,
          quantity := {_after("createdAt", "l.quantity * 2", "l.quantity")},
          currentQuantity := CASE WHEN {_UNDONE} THEN 0 ELSE {_after("createdAt", "0", "l.currentQuantity")} END))
          AS lineItems,
        list_transform(refunds, lambda r: struct_update(r, createdAt := {_later("r.createdAt")})) ||
          CASE WHEN {_UNDONE} THEN [{{id: 'late-' || id, createdAt: TIMESTAMP '{CUT}' + INTERVAL 2 HOUR,
            totalRefundedSet: {{shopMoney: {{amount: totalPriceSet.shopMoney.amount, currencyCode: 'USD'}}}}}}]
          ELSE [] END AS refunds""",
        f"createdAt < TIMESTAMP '{CUT}' OR hash(id) % 11 <> 0",
    ),
    "shopify/abandoned_checkouts": (
        f"""CASE WHEN createdAt < TIMESTAMP '{CUT}' AND completedAt IS NULL AND hash(id) % 2 = 0
          THEN TIMESTAMP '{CUT}' + INTERVAL 1 HOUR ELSE {_later("completedAt")} END AS completedAt,
        {_later("createdAt")} AS createdAt, {_later("updatedAt")} AS updatedAt""",
        f"createdAt < TIMESTAMP '{CUT}'",
    ),
    "shopify/customers": (
        f"""struct_update({_MAIL}, marketingUpdatedAt := {_later(f"{_MAIL}.marketingUpdatedAt")},
          marketingState := {_after(f"{_MAIL}.marketingUpdatedAt", _opposite(f"{_MAIL}.marketingState"),
                                    f"{_MAIL}.marketingState")}) AS {_MAIL},
        {_later("updatedAt")} AS updatedAt""",
        "true",
    ),
    "hubspot/consents": (
        f"""{_after('"timestamp"', _opposite("status"), "status")} AS status,
        {_later('"timestamp"')} AS "timestamp" """,
        "true",
    ),
    "hubspot/contacts": (
        f"""struct_update(properties, hs_email_optout := {_after(
            "updatedAt", "CASE properties.hs_email_optout WHEN 'true' THEN 'false' ELSE 'true' END",
            "properties.hs_email_optout")}) AS properties, {_later("updatedAt")} AS updatedAt""",
        "true",
    ),
    "mailchimp/members": (
        f"""{_later("last_changed")} AS last_changed, {_later("timestamp_opt")} AS timestamp_opt,
        CASE WHEN status = 'unsubscribed' AND last_changed >= TIMESTAMP '{CUT}' THEN 'pending' ELSE status END
          AS status""",
        "true",
    ),
    "mailchimp/reports": (f"""{_later("send_time")} AS send_time""", "true"),
    "mailchimp/email_activity": (
        f"""list_transform(activity, lambda a: struct_update(a, "timestamp" := {_later('a."timestamp"')},
          action := {_after('a."timestamp"', "CASE a.action WHEN 'open' THEN 'click' ELSE 'open' END", "a.action")}))
          AS activity""",
        "true",
    ),
    "mailchimp/unsubscribes": (f"""{_later('"timestamp"')} AS "timestamp" """, "true"),
    "ga4/events": (
        f"""CASE WHEN event_timestamp >= epoch_us(TIMESTAMP '{CUT}') THEN event_timestamp + 72000000000
          ELSE event_timestamp END AS event_timestamp,
        CASE WHEN event_timestamp < epoch_us(TIMESTAMP '{CUT}') THEN event_name
          WHEN event_name = 'view_item' THEN 'scroll' WHEN event_name = 'add_to_cart' THEN 'view_item'
          ELSE event_name END AS event_name""",
        "true",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def lake(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_world(tmp_path_factory.mktemp("told"), world.path)
    # every visit of the world is short; one that is under way at the date tells whether its later part is seen
    with duckdb.connect() as connection:
        path = root / "raw/ga4/events/0001.parquet"
        connection.execute(f"""
            COPY (SELECT * FROM '{path}' UNION ALL BY NAME
              SELECT * REPLACE (epoch_us(TIMESTAMP '{CUT}') + step AS event_timestamp, 'view_item' AS event_name,
                '20260407' AS _table)
              FROM (SELECT DISTINCT ON (user_id) * FROM '{path}' WHERE user_id IS NOT NULL)
              CROSS JOIN (VALUES (-60000000), (60000000), (120000000)) AS steps (step))
            TO '{path}.more' (FORMAT parquet)""")
        Path(f"{path}.more").replace(path)
    build(root, *TABLES)
    return root


@pytest.fixture(scope="module")
def changed(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same shop with another future, asked for the one date by name."""
    root = tmp_path_factory.mktemp("changed")
    shutil.copytree(lake / "raw", root / "raw")
    with duckdb.connect() as connection:
        for stream, (replaced, kept) in CHANGES.items():
            path = root / "raw" / stream / "0001.parquet"
            connection.execute(
                f"COPY (SELECT * REPLACE ({replaced}) FROM '{path}' WHERE {kept}) TO '{path}.changed' (FORMAT parquet)"
            )
            Path(f"{path}.changed").replace(path)
    asked = json.dumps({"snapshot_dates": [CUT.replace(" ", "T") + "Z"]})
    models = [f"+{table}" for table in TABLES]
    dbt(root, "build", "--exclude-resource-type", "test", "unit_test", "--vars", asked, "--select", *models)
    return root


def differing(lake: Path, changed: Path, table: str, column: str, as_of: str) -> int:
    """How many rows of one date have another value in one column, rows that only one side has included."""
    keys = "customer_id, category" if table == "customer_category_snapshots" else "customer_id"
    sides = [
        f"SELECT {keys}, {column} FROM {mart(root, table)} WHERE as_of = TIMESTAMP '{as_of}'"
        for root in (lake, changed)
    ]
    counted = rows(f"""
        SELECT (SELECT count(*) FROM ({sides[0]} EXCEPT ALL {sides[1]}))
          + (SELECT count(*) FROM ({sides[1]} EXCEPT ALL {sides[0]})), (SELECT count(*) FROM ({sides[0]}))""")
    assert counted[0][1] > 50
    return int(counted[0][0])


@pytest.mark.parametrize(("table", "column"), features())
def test_no_feature_reads_past_its_date(lake: Path, changed: Path, table: str, column: str) -> None:
    assert differing(lake, changed, table, column, CUT) == 0


@pytest.mark.parametrize(("table", "column"), features())
def test_every_feature_sees_what_comes_before_its_date(lake: Path, changed: Path, table: str, column: str) -> None:
    """Half a year later all that was changed has happened: a feature that does not move could not have failed above."""
    assert differing(lake, changed, table, column, NOW) > 0


def test_the_asked_dates_and_the_clock_are_all_there_is(changed: Path) -> None:
    found = rows(f"SELECT DISTINCT CAST(as_of AS VARCHAR) FROM {mart(changed, 'customer_snapshots')} ORDER BY 1")
    assert found == [(CUT,), (NOW,)]


def test_the_table_keeps_thirteen_dates_by_default(lake: Path) -> None:
    assert (
        rows(f"""
        SELECT count(DISTINCT as_of), max(as_of) - min(as_of) FROM {mart(lake, "customer_snapshots")}
        """)[0][0]
        >= 12
    )


def test_a_date_after_the_clock_is_refused(lake: Path) -> None:
    with pytest.raises(AssertionError, match="2027-01-01, which is after the as-of time"):
        dbt(lake, "compile", "--vars", "{snapshot_dates: [2027-01-01]}", "--select", "snapshot_dates")
