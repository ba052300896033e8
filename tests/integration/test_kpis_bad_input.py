"""KPIs of a shop in New York whose data are as bad as they come: no crash, no money of two kinds in one number, no day
that was not the shop's."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.dbt_build import dbt, mart, rows
from tests.integration.test_dbt_bad_input import bag, line, order
from tests.raw_lake import write_empty, write_rows

# Clocks in New York go forward on 8 March 2026, at 07:00 UTC.
NOW = "2026-03-11T12:00:00Z"


def event(name: str, browser: str, stamp: int, **more: Any) -> dict[str, Any]:
    number = {"key": "ga_session_id", "value": {"int_value": 1}}
    return {
        "_table": "20260308",
        "event_date": "20260308",
        "event_timestamp": stamp,
        "event_name": name,
        "event_params": [number],
        "user_pseudo_id": browser,
        "items": [],
    } | more


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_empty(tmp_path_factory.mktemp("kpis-bad-input"))
    yen = {"totalPriceSet": bag(900, "JPY"), "subtotalPriceSet": bag(900, "JPY"), "currencyCode": "JPY"}
    orders = [
        order("first", createdAt="2026-03-07 04:59:59"),  # the sixth of March in New York
        order("last-of-winter", createdAt="2026-03-08 05:00:00", email="one@mail.example"),
        order("summer", createdAt="2026-03-09 03:59:59", email="one@mail.example"),  # still the eighth
        order("yen", createdAt="2026-03-09 04:00:00", lineItems=[line("yen", 1, 900)], **yen),
        order("too-much", createdAt="2026-03-09 12:00:00", totalRefundedSet=bag(25)),
        order("minus", createdAt="2026-03-09 12:00:00", lineItems=[line("minus-1", -2), line("minus-2")]),
        order("tonight", createdAt="2026-03-11 13:00:00"),
        order("nobody", createdAt="2026-03-09 12:00:00", email=None),
    ]
    write_rows(root, "shopify/orders", orders)
    bought = {"transaction_id": "#summer", "purchase_revenue": 10.0}
    events = [
        event("page_view", "before-the-shop", 0),
        event("page_view", "after-now", 1_800_000_000_000_000),
        event("page_view", "fine", 1_773_028_000_000_000),  # 2026-03-09 03:46:40 UTC
        event("purchase", "fine", 1_773_028_801_000_000, ecommerce=bought),
        event(
            "purchase", "unknown", 1_773_028_801_000_000, ecommerce={"transaction_id": "#?", "purchase_revenue": 5.0}
        ),
    ]
    write_rows(root, "ga4/events", events)
    variables = "{shop_time_zone: America/New_York}"
    parts = [f"+path:models/{part}" for part in ("kpis", "attribution", "reconciliation")]
    chosen = ("--indirect-selection", "cautious", "--vars", variables, "--select", *parts)
    dbt(root, "build", "--exclude-resource-type", "unit_test", *chosen, as_of=NOW)
    return root


def test_days_are_new_yorks_and_none_is_invented(lake: Path) -> None:
    found = rows(
        f"SELECT activity_date, order_count FROM {mart(lake, 'daily_sales')} WHERE currency = 'USD' ORDER BY 1"
    )
    counts = {6: 1, 7: 0, 8: 2, 9: 3, 10: 0, 11: 0}
    assert found == [(date(2026, 3, day), count) for day, count in counts.items()]


def test_currencies_stand_apart(lake: Path) -> None:
    sales = f"FROM {mart(lake, 'daily_sales')} GROUP BY currency ORDER BY currency"
    found = rows(f"SELECT currency, sum(gross_sales), sum(net_sales), sum(refunded_sales) {sales}")
    assert [(currency, *map(float, money)) for currency, *money in found] == [("JPY", 900, 900, 0), ("USD", 60, 50, 10)]


def test_a_negative_quantity_sells_nothing(lake: Path) -> None:
    assert rows(f"SELECT sum(item_count), min(item_count) FROM {mart(lake, 'daily_category_sales')}") == [(7, 0)]


def test_visits_out_of_time_are_in_no_day(lake: Path) -> None:
    assert rows(f"SELECT sum(session_count) FROM {mart(lake, 'daily_sales')} WHERE currency = 'USD'") == [(2,)]


def test_a_purchase_of_no_order_and_an_order_without_purchase_are_found(lake: Path) -> None:
    found = rows(f"SELECT finding, count(*) FROM {mart(lake, 'purchase_reconciliation')} GROUP BY 1 ORDER BY 1")
    # counted two seconds after the order, and on the other side of New York's midnight
    assert found == [("late", 1), ("missing", 6), ("unknown_order", 1)]
