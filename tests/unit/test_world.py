"""The world holds every real purchase under invented people, fits together, and is the same bytes for the same seed."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from connectors.sandbox import world as world_module
from connectors.sandbox.clock import WORLD_NOW
from connectors.sandbox.schema import TABLES
from connectors.sandbox.world import World, package_data

Ask = Callable[[str], list[tuple[Any, ...]]]


def asker(world: World) -> Ask:
    connection = duckdb.connect()
    for table in TABLES:
        connection.execute(f"CREATE VIEW {table} AS FROM '{world.path(table)}'")
    return lambda sql: connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def ask(world: World) -> Ask:
    """A query over the small world's tables, by their names."""
    return asker(world)


@pytest.fixture(scope="module")
def purchases(world: World) -> pd.DataFrame:
    """The real purchase lines of the small world's households, read by pandas and not by the code under test."""
    lines = pd.read_parquet(Path(package_data()) / "transactions.parquet")
    households = [row[0] for row in asker(world)("SELECT household_id FROM persons WHERE role = 'buyer'")]
    return lines[lines["household_id"].isin(households)]


def cents(amounts: "pd.Series[float]") -> int:
    return int((amounts * 100).round().astype("int64").sum())


REAL_ORDERS = "(SELECT * FROM shopify_orders WHERE NOT test AND cancelled_at IS NULL)"


@pytest.mark.parametrize("table", TABLES)
def test_table_has_the_agreed_columns_and_rows(ask: Ask, table: str) -> None:
    described = [(name, kind) for name, kind, *_ in ask(f"DESCRIBE {table}")]
    assert [name for name, _ in described] == list(TABLES[table])
    expected = duckdb.execute(
        "SELECT " + ", ".join(f"typeof(NULL::{kind})" for kind in TABLES[table].values())
    ).fetchone()
    assert [kind for _, kind in described] == list(expected or ())
    assert ask(f"SELECT count(*) FROM {table}")[0][0] > 0


@pytest.mark.slow
def test_same_seed_gives_the_same_bytes_and_another_seed_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digests(world: World) -> dict[str, str]:
        return {table: hashlib.sha256(world.path(table).read_bytes()).hexdigest() for table in TABLES}

    first = digests(World.build(40, seed=3, directory=tmp_path / "a"))
    # on another number of cores, too
    connect = duckdb.connect
    monkeypatch.setattr(duckdb, "connect", lambda config: connect(config={**config, "threads": 1}))
    second = digests(World.build(40, seed=3, directory=tmp_path / "b"))
    other = digests(World.build(40, seed=4, directory=tmp_path / "b"))
    assert first == second
    assert all(first[table] != other[table] for table in TABLES)


def test_built_world_is_found_again_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    world = World.build(12, directory=tmp_path)
    written_at = world.path("persons").stat().st_mtime_ns
    assert World.build(12, directory=tmp_path).path("persons").stat().st_mtime_ns == written_at
    assert [folder.name for folder in tmp_path.iterdir()] == [world.directory.name]
    assert sorted(file.stem for file in world.directory.iterdir()) == sorted(TABLES)


def test_digest_covers_every_file_the_world_is_made_of() -> None:
    listing = "import sys, connectors.sandbox.world; print(*(n for n in sys.modules if 'connectors.sandbox.' in n))"
    loaded = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout.split()
    assert {f"{name.rsplit('.', 1)[1]}.py" for name in loaded} == world_module._WORLD_FILES


def test_failed_build_leaves_no_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.sandbox.world.package_data", lambda: str(tmp_path / "nowhere"))
    with pytest.raises(duckdb.IOException, match="nowhere"):
        World.build(12, directory=tmp_path / "worlds")
    assert list((tmp_path / "worlds").iterdir()) == []


def test_unknown_table_is_named(world: World) -> None:
    with pytest.raises(KeyError, match="orders"):
        world.path("orders")


def test_every_real_line_and_amount_is_there(ask: Ask, purchases: pd.DataFrame) -> None:
    (orders, total, discount), *_ = ask(f"SELECT count(*), sum(total_price), sum(total_discounts) FROM {REAL_ORDERS}")
    assert orders == purchases["basket_id"].nunique()
    assert total * 100 == cents(purchases["sales_value"])
    assert discount * 100 == cents(purchases["retail_disc"]) + cents(purchases["coupon_match_disc"])
    (lines, received), *_ = ask(
        "SELECT count(*), sum(quantity * discounted_unit_price) FROM shopify_order_lines "
        f"WHERE order_id IN (SELECT id FROM {REAL_ORDERS})"
    )
    assert lines == len(purchases)
    assert received == total


@pytest.mark.slow
def test_every_product_sold_what_the_data_say(ask: Ask, purchases: pd.DataFrame) -> None:
    sold = ask(
        "SELECT sku, sum(quantity * discounted_unit_price), count(*) FROM shopify_order_lines "
        f"WHERE order_id IN (SELECT id FROM {REAL_ORDERS}) GROUP BY sku"
    )
    by_product = purchases.groupby("product_id")["sales_value"]
    expected = {str(product): (cents(values), len(values)) for product, values in by_product}
    assert {sku: (int(amount * 100), lines) for sku, amount, lines in sold} == expected


def test_orders_lie_in_the_shops_year_on_the_days_of_the_week_of_the_data(ask: Ask, purchases: pd.DataFrame) -> None:
    days = ask(
        "SELECT dayofweek(created_at + INTERVAL 9 HOUR), hour(created_at + INTERVAL 9 HOUR), count(*) "
        f"FROM {REAL_ORDERS} GROUP BY ALL"
    )
    # the package's times are UTC; the shop of the data stands in the eastern United States
    local = purchases.drop_duplicates("basket_id")["transaction_timestamp"]
    local = local.dt.tz_localize("UTC").dt.tz_convert("America/New_York")
    expected = local.groupby([(local.dt.day_of_week + 1) % 7, local.dt.hour]).count()
    assert {(day, hour): count for day, hour, count in days} == {key: int(n) for key, n in expected.items()}
    (first, last), *_ = ask(f"SELECT min(created_at), max(updated_at) FROM {REAL_ORDERS}")
    assert first.isoformat() >= "2025-10-18T15:00:00"
    assert last < WORLD_NOW


def test_order_totals_are_the_sums_of_their_lines(ask: Ask) -> None:
    assert not ask("""
        SELECT o.id FROM shopify_orders AS o
        LEFT JOIN (
            SELECT order_id, sum(quantity * discounted_unit_price) AS total,
                sum(quantity * (original_unit_price - discounted_unit_price)) AS discount,
                sum((quantity - current_quantity) * discounted_unit_price) AS given_back
            FROM shopify_order_lines GROUP BY order_id
        ) AS l ON l.order_id = o.id
        WHERE o.total_price IS DISTINCT FROM l.total OR o.subtotal <> l.total OR o.total_discounts <> l.discount
            OR o.total_tax <> 0 OR o.total_shipping <> 0 OR o.total_refunded <> l.given_back
    """)


def test_refunds_agree_with_orders_and_some_are_partial(ask: Ask) -> None:
    assert not ask("""
        SELECT o.id FROM shopify_orders AS o LEFT JOIN shopify_refunds AS r ON r.order_id = o.id
        WHERE coalesce(r.amount, 0) <> o.total_refunded OR r.created_at > o.updated_at OR r.created_at <= o.created_at
            OR (o.financial_status = 'REFUNDED') <> (o.total_refunded = o.total_price AND r.id IS NOT NULL)
            OR (o.financial_status = 'PARTIALLY_REFUNDED') <> (r.amount < o.total_price)
    """)
    counts: dict[str, int] = dict(ask("SELECT financial_status, count(*) FROM shopify_orders GROUP BY ALL"))
    assert min(counts[status] for status in ("PAID", "PARTIALLY_REFUNDED", "REFUNDED", "VOIDED")) > 0
    real = ask(f"SELECT avg((total_refunded > 0)::INTEGER) FROM {REAL_ORDERS}")[0][0]
    assert 0.008 < real < 0.025


def test_cancelled_and_test_orders_are_marked_and_extra(ask: Ask) -> None:
    (cancelled, tests), *_ = ask("SELECT count(cancelled_at), count(*) FILTER (test) FROM shopify_orders")
    assert cancelled >= 6
    assert tests >= 4
    assert not ask("SELECT id FROM shopify_orders WHERE (cancelled_at IS NULL) <> (cancel_reason IS NULL)")


@pytest.mark.parametrize(
    ("table", "key"),
    [(table, "id") for table in TABLES if "id" in TABLES[table]]
    + [
        ("persons", "person_id"),
        ("persons", "lower(email)"),
        ("truth", "record_type, record_id"),
        ("shopify_customers", "lower(email)"),
        ("shopify_orders", "name"),
        ("shopify_variants", "sku"),
        ("hubspot_consents", "lower(email), subscription_id"),
        ("mailchimp_members", "lower(email)"),
    ],
)
def test_key_is_unique_and_present(ask: Ask, table: str, key: str) -> None:
    assert not ask(f"SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1")
    assert not ask(f"SELECT 1 FROM {table} WHERE concat({key}) = ''")


@pytest.mark.parametrize(
    ("table", "column", "target"),
    [
        ("shopify_variants", "product_id", "shopify_products"),
        ("shopify_orders", "customer_id", "shopify_customers"),
        ("shopify_order_lines", "order_id", "shopify_orders"),
        ("shopify_order_lines", "product_id", "shopify_products"),
        ("shopify_order_lines", "variant_id", "shopify_variants"),
        ("shopify_refunds", "order_id", "shopify_orders"),
        ("shopify_checkouts", "customer_id", "shopify_customers"),
        ("shopify_checkout_lines", "checkout_id", "shopify_checkouts"),
        ("shopify_checkout_lines", "variant_id", "shopify_variants"),
        ("hubspot_contacts", "company_id", "hubspot_companies"),
        ("hubspot_contacts", "shopify_customer_id::BIGINT", "shopify_customers"),
        ("hubspot_deals", "contact_id", "hubspot_contacts"),
        ("hubspot_deals", "company_id", "hubspot_companies"),
        ("mailchimp_sends", "campaign_id", "mailchimp_campaigns"),
        ("mailchimp_activity", "campaign_id", "mailchimp_campaigns"),
        ("mailchimp_unsubscribes", "campaign_id", "mailchimp_campaigns"),
        ("mailchimp_claims", "campaign_id", "mailchimp_campaigns"),
        ("mailchimp_claims", "order_id", "shopify_orders"),
        ("ad_days", "campaign_id", "ad_campaigns"),
        ("ad_claims", "campaign_id", "ad_campaigns"),
        ("ad_claims", "order_id", "shopify_orders"),
    ],
)
def test_reference_points_at_a_row(ask: Ask, table: str, column: str, target: str) -> None:
    assert not ask(
        f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL AND {column} NOT IN (SELECT id FROM {target})"
    )


# When a deal is to close; when an ad platform will have learnt of what has happened.
AHEAD = {"closedate", "visible_at", "corrected_at"}


def test_nothing_happens_after_the_worlds_now(ask: Ask) -> None:
    for table, columns in TABLES.items():
        for column, kind in columns.items():
            if kind == "TIMESTAMP" and column not in AHEAD:
                latest = ask(f"SELECT max({column}) FROM {table}")[0][0]
                assert latest is None or latest <= WORLD_NOW, (table, column)


def test_nobody_orders_before_having_the_account(ask: Ask) -> None:
    assert not ask("""
        SELECT o.id FROM shopify_orders AS o JOIN shopify_customers AS c ON c.id = o.customer_id
        WHERE o.created_at < c.created_at OR o.created_at > c.updated_at
    """)


def test_checkouts_add_up_and_many_are_recent_and_left(ask: Ask) -> None:
    assert not ask("""
        SELECT c.id FROM shopify_checkouts AS c
        LEFT JOIN (SELECT checkout_id, sum(quantity * unit_price) AS total FROM shopify_checkout_lines GROUP BY 1) AS l
            ON l.checkout_id = c.id
        WHERE c.total_price IS DISTINCT FROM l.total OR c.total_price <= 0 OR c.completed_at < c.created_at
    """)
    assert not ask("""
        SELECT c.id FROM shopify_checkouts AS c WHERE completed_at IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM shopify_orders AS o WHERE o.created_at = c.completed_at AND o.total_price = c.total_price
                AND o.customer_id IS NOT DISTINCT FROM c.customer_id)
    """)
    (recent, completed, left), *_ = ask(f"""
        SELECT count(*) FILTER (completed_at IS NULL AND created_at > TIMESTAMP '{WORLD_NOW}' - INTERVAL 14 DAY),
            count(completed_at), count(*) - count(completed_at) FROM shopify_checkouts
    """)
    assert recent >= 10
    assert left > completed > 20


@pytest.mark.slow
def test_full_world_holds_all_households_and_purchases() -> None:
    ask = asker(World.build())
    lines = pd.read_parquet(Path(package_data()) / "transactions.parquet", columns=["basket_id", "sales_value"])
    (orders, total), *_ = ask(f"SELECT count(*), sum(total_price) FROM {REAL_ORDERS}")
    assert (orders, total) == (lines["basket_id"].nunique(), Decimal(cents(lines["sales_value"])) / 100)
    assert ask("SELECT count(*) FROM persons WHERE role = 'buyer'")[0][0] == 2_469
    assert (
        ask(f"SELECT count(*) FROM shopify_order_lines WHERE order_id IN (SELECT id FROM {REAL_ORDERS})")[0][0]
        == len(lines)
        == 1_469_307
    )
    assert 350_000 <= ask("SELECT count(*) FROM ga4_events")[0][0] <= 450_000
