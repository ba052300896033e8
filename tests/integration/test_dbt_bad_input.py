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


def refund(name: str, amount: float) -> dict[str, Any]:
    return {
        "id": f"gid://shopify/Refund/{name}",
        "createdAt": "2026-10-02 03:00:00",
        "totalRefundedSet": bag(amount),
    }


def account(number: int, first_name: str, last_name: str) -> dict[str, Any]:
    moments = dict.fromkeys(("createdAt", "updatedAt"), "2026-01-01 00:00:00")
    return {
        "id": f"gid://shopify/Customer/{number}",
        "firstName": first_name,
        "lastName": last_name,
        "tags": [],
    } | moments


def contact(number: int, birth_date: str) -> dict[str, Any]:
    moments = dict.fromkeys(("createdAt", "updatedAt"), "2026-01-01 00:00:00")
    properties = {"firstname": f"Born {number}", "email": f"born{number}@mail.example", "date_of_birth": birth_date}
    return {"id": str(number), "archived": False, "properties": properties} | moments


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
        order("ancient", createdAt="1999-12-31 23:59:59"),
        order("euro", totalPriceSet=bag(10, "EUR"), currencyCode="EUR"),
        order("crowd", lineItems=[line("crowd-1", 5_000_000_000), line("crowd-2")]),
        order("returned", lineItems=[line("returned", 1) | {"currentQuantity": -3}]),
        order("paid-back", refunds=[refund("in", -4)]),
        order("reward", totalDiscountsSet=bag(-5), totalRefundedSet=bag(-5)),
        order("loud", email="loud@mail.example", lineItems=[line("loud") | {"title": "🍵" * 250_000}]),
    ]
    write_rows(
        root,
        "shopify/customers",
        [account(1, "🎉🐱", "👩‍👩‍👧"), account(2, "محمد", "الأحمد"), account(3, "長" * 350_000, "\u202e逆さ")],
    )
    write_rows(
        root,
        "hubspot/contacts",
        [contact(1, "2050-01-01"), contact(2, "1800-05-05"), contact(3, "1980-02-29"), contact(4, "1980-02-30")],
    )
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
        ("#crowd", 10, 10),
        ("#euro", 10, 10),
        ("#good", 10, 10),
        ("#loud", 10, 10),
        ("#minus", 10, 10),
        ("#nameless", 10, 10),
        ("#paid-back", 10, 10),
        ("#returned", 10, 10),
        ("#reward", 10, 10),
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
        ("marts", "1", "impossible_birth_date", False),
        ("marts", "2", "impossible_birth_date", False),
        ("marts", "4", "not_a_date", False),
        ("marts", "ancient", "date_before_2000", True),
        ("marts", "crowd-1", "impossible_quantity", True),
        ("marts", "foreign", "unknown_currency", True),
        ("marts", "future", "date_in_future", True),
        ("marts", "in", "negative_refund", True),
        ("marts", "minus-1", "negative_quantity", True),
        ("marts", "nameless", "not_an_email", False),
        ("marts", "returned", "impossible_quantity", False),
        ("marts", "reward", "negative_discount", False),
        ("marts", "reward", "negative_refund", False),
        ("marts", "too-much", "refund_above_total", False),
    ]


def test_no_personal_value_stands_in_the_rejections(lake: Path) -> None:
    assert rows(f"SELECT count(*) FROM {mart(lake, 'rejected_records')} WHERE found LIKE '%e-mail%'") == [(0,)]


def test_an_order_without_a_usable_address_is_a_customer_of_its_own(lake: Path) -> None:
    assert rows(f"""
        SELECT count(DISTINCT customer_id), count(*) FROM {mart(lake, "orders")}""") == [(13, 13)]


def test_a_line_of_a_page_that_came_twice_counts_once(lake: Path) -> None:
    assert rows(f"SELECT count(*) FROM {mart(lake, 'order_lines')} WHERE sku = 'twice'") == [(1,)]


def test_a_missing_raw_folder_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="run the ingest stage first"):
        build(tmp_path, "stg_shopify__orders")


def profile(lake: Path, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    return rows(f"SELECT {columns} FROM {mart(lake, 'customer_360')} WHERE {where} ORDER BY ALL")


def test_money_of_another_currency_is_kept_apart(lake: Path) -> None:
    assert profile(lake, "order_count, lifetime_spend, mean_order_value, currency", "email = 'euro@mail.example'") == [
        (1, 0, None, "USD")
    ]
    spent = rows(
        f"SELECT currency, sum(lifetime_spend) FROM {mart(lake, 'customer_currency_spend')} GROUP BY 1 ORDER BY 1"
    )
    assert [(currency, float(total)) for currency, total in spent] == [("EUR", 10), ("USD", 102)]


def test_nobody_buys_less_than_nothing(lake: Path) -> None:
    quantities = rows(f"SELECT sku, net_quantity FROM {mart(lake, 'order_lines')} WHERE net_quantity <> 1")
    assert quantities == [("returned", 0)]
    assert profile(lake, "mean_order_items, discounted_item_rate", "email = 'returned@mail.example'") == [(0, None)]
    assert profile(lake, "refund_rate, refunded_order_count", "email = 'paid-back@mail.example'") == [(0, 0)]


def test_an_impossible_birthday_is_none(lake: Path) -> None:
    assert profile(lake, "first_name, birth_date IS NOT NULL, age_years, age_band", "first_name LIKE 'Born%'") == [
        ("Born 1", False, None, None),
        ("Born 2", False, None, None),
        ("Born 3", True, 46, "45-54"),
        ("Born 4", False, None, None),
    ]


def test_names_of_any_script_and_length_come_through(lake: Path) -> None:
    names = dict(profile(lake, "length(display_name), first_name[:2]", "email IS NULL AND order_count = 0"))
    assert names.pop(max(names)) == "長長"
    assert set(names.values()) == {"🎉🐱", "مح"}


def test_an_order_after_the_clock_is_not_in_the_profile_yet(lake: Path) -> None:
    assert profile(lake, "order_count, lifecycle_stage", "email = 'tonight@mail.example'") == [(0, "lead")]
