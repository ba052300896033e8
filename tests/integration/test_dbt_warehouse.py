"""The small world through the warehouse: figures equal those counted from the world by other code, identity meets the
truth, consent never says more than the people did."""

import re
import shutil
from pathlib import Path

import phonenumbers
import pytest

from connectors.sandbox.truth import pairwise
from connectors.sandbox.world import World
from tests.dbt_build import PROJECT, build, mart, rows

AUDIENCES = sorted(path.stem for path in (PROJECT / "models" / "audiences").glob("*.sql"))


@pytest.fixture(scope="module")
def lake(built_lake: Path) -> Path:
    """The small world, built with every data test and unit test."""
    return built_lake


def test_orders_and_money_equal_the_worlds(lake: Path, world: World) -> None:
    counted = rows(f"""
        WITH refunds AS (SELECT order_id, sum(amount) AS back FROM '{world.path("shopify_refunds")}' GROUP BY ALL),
        kept AS (
          SELECT o.*, coalesce(r.back, 0) AS back FROM '{world.path("shopify_orders")}' AS o
          LEFT JOIN refunds AS r ON r.order_id = o.id WHERE NOT test)
        SELECT count(*), sum(total_price), sum(CASE WHEN cancelled_at IS NULL THEN greatest(total_price - back, 0) END)
        FROM kept""")
    assert rows(f"SELECT count(*), sum(order_total), sum(net_total) FROM {mart(lake, 'orders')}") == [tuple(counted[0])]


def test_lines_and_quantities_equal_the_worlds(lake: Path, world: World) -> None:
    counted = rows(f"""
        SELECT count(*), sum(l.quantity) FROM '{world.path("shopify_order_lines")}' l
        JOIN '{world.path("shopify_orders")}' o ON o.id = l.order_id WHERE NOT o.test""")
    assert rows(f"SELECT count(*), sum(quantity) FROM {mart(lake, 'order_lines')}") == counted


def test_sessions_equal_the_worlds(lake: Path, world: World) -> None:
    # the session's number is an integer in most events and a text in some
    counted = rows(f"""
        SELECT count(DISTINCT (user_pseudo_id, coalesce(number.string_value, number.int_value::VARCHAR)))
        FROM (SELECT user_pseudo_id, list_filter(event_params, lambda p: p.key = 'ga_session_id')[1].value AS number
              FROM '{world.path("ga4_events")}')
        WHERE user_pseudo_id IS NOT NULL AND coalesce(number.string_value, number.int_value::VARCHAR) IS NOT NULL""")
    assert rows(f"SELECT count(*) FROM {mart(lake, 'sessions')}") == counted


def test_every_order_has_a_customer(lake: Path) -> None:
    assert rows(f"SELECT count(*) FROM {mart(lake, 'orders')} WHERE customer_id IS NULL") == [(0,)]


def test_identity_meets_the_truth(lake: Path, world: World) -> None:
    measured = pairwise(f"{lake}/marts/identity_clusters/data.parquet", world.path("truth"))
    assert measured["precision"] >= 0.99, measured
    assert measured["f1"] >= 0.97, measured


def test_a_second_build_changes_no_id(lake: Path, tmp_path: Path) -> None:
    again = shutil.copytree(lake, tmp_path / "again")
    build(again, "identity_clusters")
    clusters = "SELECT * FROM {} ORDER BY ALL"
    before, after = (rows(clusters.format(mart(root, "identity_clusters"))) for root in (lake, again))
    assert after == before
    assert rows(f"SELECT count(*) FROM {mart(again, 'customer_history')}") == [(0,)]


def test_nobody_who_left_the_newsletter_is_granted_without_a_later_yes(lake: Path, world: World) -> None:
    # Counted from the world: who is out in Mailchimp, and when this person last said yes anywhere by their own act.
    contradicted = rows(f"""
        WITH out_of_list AS (
          SELECT lower(email) AS email, last_changed FROM '{world.path("mailchimp_members")}'
          WHERE status IN ('unsubscribed', 'cleaned')),
        own_yes AS (
          SELECT lower(email) AS email, email_marketing_updated_at AS said_at FROM '{world.path("shopify_customers")}'
          WHERE email_marketing_state = 'SUBSCRIBED'
          UNION ALL
          SELECT lower(email), updated_at FROM '{world.path("hubspot_consents")}'
          WHERE status = 'SUBSCRIBED' AND source IN ('FORM', 'PREFERENCE_PAGE')),
        people AS (
          SELECT customer_id, identifier AS email FROM {mart(lake, "contact_points")} WHERE channel = 'email')
        SELECT o.email FROM out_of_list AS o JOIN people AS p USING (email)
        JOIN {mart(lake, "consents")} AS c ON c.customer_id = p.customer_id
          AND c.channel IN ('email', 'ad') AND c.decision = 'granted'
        WHERE NOT EXISTS (
          FROM own_yes AS y JOIN people AS mine USING (email)
          WHERE mine.customer_id = p.customer_id AND y.said_at > o.last_changed)""")
    assert contradicted == []


def test_unknown_has_no_row(lake: Path) -> None:
    decided = rows(f"SELECT DISTINCT decision FROM {mart(lake, 'consents')} ORDER BY 1")
    assert decided == [("denied",), ("granted",)]
    unknown = rows(f"SELECT count(*) FROM {mart(lake, 'customer_360')} WHERE email_consent = 'unknown' AND can_email")
    assert unknown == [(0,)]


def test_evidence_names_no_address(lake: Path) -> None:
    found = rows(f"SELECT evidence FROM {mart(lake, 'consents')}")
    assert found
    assert not [evidence for (evidence,) in found if "@" in evidence or re.search(r"\+\d{9,}", evidence)]


def test_contact_points_are_addresses(lake: Path) -> None:
    points = rows(f"SELECT DISTINCT identifier_type, identifier FROM {mart(lake, 'contact_points')}")
    for kind, identifier in points:
        if kind == "phone":
            assert phonenumbers.is_possible_number(phonenumbers.parse(identifier)), identifier
        else:
            assert identifier == identifier.lower().strip() and identifier.count("@") == 1


def test_a_customer_has_one_first_address_a_channel(lake: Path) -> None:
    counted = rows(f"""
        SELECT max(primaries) FROM (SELECT count(*) FILTER (is_primary) AS primaries
        FROM {mart(lake, "contact_points")} GROUP BY customer_id, channel, identifier_type)""")
    assert counted == [(1,)]


@pytest.mark.parametrize("audience", AUDIENCES)
def test_audiences_hold_customers_once(lake: Path, audience: str) -> None:
    strangers = rows(f"""
        SELECT count(*) - count(DISTINCT customer_id), count(*) FILTER (customer_id NOT IN (
          SELECT customer_id FROM {mart(lake, "customers")})) FROM {mart(lake, audience)}""")
    assert strangers == [(0, 0)]


def test_snapshots_hold_closed_outcomes_only_where_the_window_is_closed(lake: Path) -> None:
    found = rows(f"""
        SELECT DISTINCT (TIMESTAMP '2026-10-18 15:00:00' - as_of) >= INTERVAL 60 DAY, outcome_churned IS NOT NULL,
          (TIMESTAMP '2026-10-18 15:00:00' - as_of) >= INTERVAL 30 DAY, outcome_ordered IS NOT NULL
        FROM {mart(lake, "customer_snapshots")}""")
    assert found
    assert all(churn_closed == has_churn and closed == has for churn_closed, has_churn, closed, has in found)


def test_snapshot_features_equal_a_plain_count(lake: Path) -> None:
    # The newest snapshot by the shortest code that can say it.
    different = rows(f"""
        WITH plain AS (
          SELECT customer_id, count(*) AS order_count,
            count(*) FILTER (ordered_at > TIMESTAMP '2026-10-18 15:00:00' - INTERVAL 30 DAY) AS orders_30d,
            date_diff('second', max(ordered_at), TIMESTAMP '2026-10-18 15:00:00') // 86400 AS recency
          FROM {mart(lake, "orders")} WHERE ordered_at < TIMESTAMP '2026-10-18 15:00:00' GROUP BY customer_id)
        SELECT count(*), count(*) FILTER (s.order_count <> plain.order_count OR s.orders_30d <> plain.orders_30d
          OR s.days_since_last_order <> plain.recency)
        FROM plain JOIN {mart(lake, "customer_snapshots")} AS s
          ON s.customer_id = plain.customer_id AND s.as_of = TIMESTAMP '2026-10-18 15:00:00'""")
    assert different[0][0] > 100 and different[0][1] == 0
