"""Rows that cannot be right: each is set aside with its reason, the rest goes on, nothing is lost or counted twice."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.dbt_build import build, dbt, mart, rows
from tests.raw_lake import write_empty, write_rows


def bag(amount: float, currency: str = "USD") -> dict[str, Any]:
    return {"shopMoney": {"amount": amount, "currencyCode": currency}}


def line(name: str, quantity: int = 1, price: float = 10) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/LineItem/{name}",
        "sku": name,
        "title": name,
        "quantity": quantity,
        "currentQuantity": quantity,
        "originalUnitPriceSet": bag(price),
        "discountedUnitPriceSet": bag(price),
    }


def order(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/Order/{name}",
        "name": f"#{name}",
        "createdAt": "2026-10-01 03:00:00",
        "updatedAt": "2026-10-01 03:00:00",
        "test": False,
        "email": f"{name}@mail.example",
        "currencyCode": "USD",
        "totalPriceSet": bag(10),
        "subtotalPriceSet": bag(10),
        "totalRefundedSet": bag(0),
        "lineItems": [line(name)],
        "refunds": [],
    } | more


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_empty(tmp_path_factory.mktemp("bad-input"))
    orders = [
        order("good"),
        order("foreign", totalPriceSet=bag(10, "XXX"), currencyCode="XXX"),
        order("future", createdAt="2026-10-21 00:00:00"),
        order("tonight", createdAt="2026-10-19 10:00:00"),
        order("nameless", email="not an e-mail"),
        order("minus", lineItems=[line("minus-1", -2), line("minus-2")], subtotalPriceSet=bag(10)),
        order("too-much", totalRefundedSet=bag(25)),
        order("trial", test=True),
        order("twice"),
        order("twice"),
        order("changed", totalPriceSet=bag(99)),
    ]
    write_rows(root, "shopify/orders", orders)
    # an older version that lands later must not win; a newer one must
    write_rows(
        root,
        "shopify/orders",
        [
            order("good", updatedAt="2026-09-01 00:00:00", totalPriceSet=bag(1), _landed_at="2026-10-20 01:00:00"),
            order("changed", updatedAt="2026-10-02 00:00:00", totalPriceSet=bag(12), subtotalPriceSet=bag(12),
                  lineItems=[line("changed", 1, 12)], _landed_at="2026-10-20 01:00:00"),
        ],
        commit="0002",
    )  # fmt: skip
    folder = root / "rejected" / "shopify" / "orders"
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT 'not_a_number' AS _reason, 'totalPriceSet' AS _field, '{\"id\": \"x\"}' AS _row, "
            f"TIMESTAMP '2026-10-19 01:00:00' AS _landed_at) TO '{folder}/0001.parquet' (FORMAT parquet)"
        )
    dbt(root, "build", "--exclude-resource-type", "unit_test")
    return root


def test_only_orders_that_can_be_right_are_counted(lake: Path) -> None:
    kept = rows(f"SELECT order_name, order_total, net_total FROM {mart(lake, 'orders')} ORDER BY order_name")
    assert [(name, float(total), float(net)) for name, total, net in kept] == [
        ("#changed", 12, 12),
        ("#good", 10, 10),
        ("#minus", 10, 10),
        ("#nameless", 10, 10),
        ("#tonight", 10, 10),
        ("#too-much", 10, 0),
        ("#twice", 10, 10),
    ]


def test_each_bad_row_has_its_reason(lake: Path) -> None:
    found = rows(
        f"SELECT refused_by, regexp_extract(record_id, '[^/]+$'), reason, is_excluded "
        f"FROM {mart(lake, 'rejected_records')} ORDER BY ALL"
    )
    assert found == [
        ("landing", None, "not_a_number", True),
        ("marts", "foreign", "unknown_currency", True),
        ("marts", "future", "date_in_future", True),
        ("marts", "minus-1", "negative_quantity", True),
        ("marts", "nameless", "not_an_email", False),
        ("marts", "too-much", "refund_above_total", False),
    ]


def test_no_personal_value_stands_in_the_rejections(lake: Path) -> None:
    assert rows(f"SELECT count(*) FROM {mart(lake, 'rejected_records')} WHERE found LIKE '%e-mail%'") == [(0,)]


def test_an_order_without_a_usable_address_is_a_customer_of_its_own(lake: Path) -> None:
    assert rows(f"""
        SELECT count(DISTINCT customer_id), count(*) FROM {mart(lake, "orders")}""") == [(7, 7)]


def test_a_line_of_a_page_that_came_twice_counts_once(lake: Path) -> None:
    assert rows(f"SELECT count(*) FROM {mart(lake, 'order_lines')} WHERE sku = 'twice'") == [(1,)]


def test_a_missing_raw_folder_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="run the ingest stage first"):
        build(tmp_path, "stg_shopify__orders")
