"""Journeys and segments on the small world: every stage equals one that other code works out from the world's own
tables, no order of arrival and nothing later changes it, and the log of changes gives the members when replayed."""

import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors.sandbox.world import World
from tests.another_future import CUT, change_what_came_later
from tests.dbt_build import build, dbt, mart, rows, step
from tests.raw_lake import write_empty, write_rows

NOW = datetime(2026, 10, 18, 15)
LATER = "2026-11-27T15:00:00Z"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def lake(built_lake: Path) -> Path:
    return built_lake


@dataclass
class Past:
    """What a customer did overall or in one category, straight from the world."""

    known: list[datetime] = field(default_factory=list)
    views: list[datetime] = field(default_factory=list)
    carts: list[datetime] = field(default_factory=list)
    orders: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    """When, and when it was given back."""

    def stage(self, now: datetime) -> str:
        """The rules of _journeys.yml, read as they are written."""
        orders = sorted((order for order in self.orders if order[0] <= now), key=lambda order: order[0])
        times = [placed for placed, _ in orders]
        kept = [placed for placed, back in orders if back is None or back > now]
        carts = [cart for cart in self.carts if cart <= now]
        views = sorted(view for view in self.views if view <= now)
        last = times[-1] if times else datetime.min
        newest_cart = max((cart for cart in carts if cart > last), default=None)
        if newest_cart and now < newest_cart + 14 * DAY:
            return "decision"
        after_arrival = [view for view in views if not times or view > last + 7 * DAY]
        considers = (
            len(after_arrival) >= 2
            and after_arrival[-1] - after_arrival[-2] <= 30 * DAY
            and now < after_arrival[-1] + 30 * DAY
        ) or (newest_cart is not None and now < newest_cart + 30 * DAY)
        if kept and now < last + patience(times):
            in_rhythm = len(times) > 1 and last < times[-2] + patience(times[:-1])
            if len(kept) >= 3 and in_rhythm:
                return "loyalty"
            if now < last + 7 * DAY and last in kept:
                return "purchase"
            return "consideration" if considers else "evaluation"
        if considers:
            return "consideration"
        if kept:
            return "lapse"
        given_back = [back for _, back in orders if back is not None and back <= now]
        return "consideration" if given_back and now < max(given_back) + 30 * DAY else "awareness"


def patience(times: list[datetime]) -> timedelta:
    """The silence after these orders that counts as a lapse."""
    if len(times) == 1:
        return 90 * DAY
    seconds = int(3 * (times[-1] - times[0]).total_seconds() / (len(times) - 1))
    return max(min(timedelta(seconds=seconds), 180 * DAY), 30 * DAY)


def pasts(lake: Path, world: World) -> dict[tuple[str, str | None], Past]:
    """Every customer's past, overall (None) and by category; from the build comes only who is who."""
    found: dict[tuple[str, str | None], Past] = defaultdict(Past)
    table = world.path
    clusters = mart(lake, "identity_clusters")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def ask(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        named = ask(f"SELECT id, product_type FROM '{table('shopify_products')}'")
        categories = {product: " ".join(name.split()) for product, name in named}
        orders = ask(f"""
            SELECT o.id, c.customer_id, o.created_at, o.cancelled_at, o.total_price,
              (SELECT list({{moment: r.created_at, amount: r.amount}} ORDER BY r.created_at, r.id)
               FROM '{table("shopify_refunds")}' r WHERE r.order_id = o.id)
            FROM '{table("shopify_orders")}' o JOIN {clusters} c ON
              (c.record_type = 'shopify.customers' AND c.record_id = 'gid://shopify/Customer/' || o.customer_id)
              OR (c.record_type = 'shopify.orders' AND c.record_id = 'gid://shopify/Order/' || o.id)
            WHERE NOT o.test""")
        lines = defaultdict(list)
        for order, product, kept in ask(
            f"SELECT order_id, product_id, current_quantity FROM '{table('shopify_order_lines')}'"
        ):
            lines[order].append((categories[product], kept))
        for order, customer, placed, cancelled, total, refunds in orders:
            refunds, so_far, back = refunds or [], 0, cancelled
            for refund in refunds:
                so_far += refund["amount"]
                if total > 0 and so_far >= total:
                    back = min(back or refund["moment"], refund["moment"])
                    break
            found[customer, None].orders.append((placed, back and max(back, placed)))
            for category in {category for category, _ in lines[order]}:
                nothing_kept = refunds and sum(kept for c, kept in lines[order] if c == category) <= 0
                gone = back or (refunds[-1]["moment"] if nothing_kept else None)
                found[customer, category].orders.append((placed, gone and max(gone, placed)))
        for customer, at, product in ask(f"""
                SELECT c.customer_id, k.created_at, l.product_id FROM '{table("shopify_checkouts")}' k
                JOIN '{table("shopify_checkout_lines")}' l ON l.checkout_id = k.id
                JOIN {clusters} c ON c.record_type = 'shopify.customers'
                  AND c.record_id = 'gid://shopify/Customer/' || k.customer_id"""):
            for category in (None, categories[product]):
                found[customer, category].carts.append(at)
        # a visit counts with its first two looks and its first basket; the sessions mart says whose it was
        visits: dict[tuple[str, str | None, str, str], set[tuple[datetime, int]]] = defaultdict(set)
        for customer, session, name, at, shown in ask(f"""
                WITH numbered AS (
                  SELECT *, list_filter(event_params, lambda p: p.key = 'ga_session_id')[1].value AS number
                  FROM '{table("ga4_events")}' WHERE event_name IN ('view_item', 'add_to_cart', 'begin_checkout'))
                SELECT s.customer_id, s.session_id, event_name, make_timestamp(event_timestamp),
                  list_transform(items, lambda i: i.item_category)
                FROM numbered JOIN {mart(lake, "sessions")} s ON s.customer_id IS NOT NULL AND
                  s.session_id
                  = numbered.user_pseudo_id || '.' || coalesce(number.string_value, number.int_value::VARCHAR)"""):
            kind = "views" if name == "view_item" else "carts"
            for category in {None, *(" ".join(name.split()) for name in shown)}:
                visits[customer, category, session, kind].add((at, 0))
        for (customer, category, _, kind), times in visits.items():
            first = sorted(at for at, _ in times)[: 2 if kind == "views" else 1]
            getattr(found[customer, category], kind).extend(first)
    return found


def test_every_stage_equals_one_worked_out_by_other_code(lake: Path, world: World) -> None:
    past = pasts(lake, world)
    intervals = rows(f"""
        SELECT customer_id, category, to_stage, entered_at, coalesce(left_at, TIMESTAMP '{NOW}')
        FROM {step(lake, "journey_events")} ORDER BY ALL""")
    customers = sorted({row[0] for row in intervals})[::3]
    wrong, checked = [], set()
    for customer, category, stage, entered, left in intervals:
        if customer not in customers:
            continue
        for moment in (entered, entered + (left - entered) / 2, left - timedelta(microseconds=1)):
            if moment >= entered and past[customer, category].stage(moment) != stage:
                wrong.append((customer, category, stage, past[customer, category].stage(moment), moment))
        checked.add(stage)
    assert not wrong, wrong[:5]
    assert len(customers) > 50
    assert checked == {"awareness", "consideration", "decision", "purchase", "evaluation", "loyalty", "lapse"}
    # nobody is left out
    stood = {(row[0], row[1]) for row in intervals}
    expected = {
        key for key, p in past.items() if key[1] not in (None, "uncategorised") and (p.orders or p.views or p.carts)
    }
    assert {key for key in stood if key[1] is not None} == expected


def test_stages_now_are_the_last_events_and_transitions_count_them(lake: Path) -> None:
    events = step(lake, "journey_events")
    stages, transitions = (mart(lake, name) for name in ("journey_stages", "journey_transitions"))
    assert rows(f"SELECT count(*) FROM {stages}") == rows(f"SELECT count(*) FROM {mart(lake, 'customers')}")
    assert rows(f"""
        SELECT count(*) FROM (SELECT customer_id, max_by(to_stage, entered_at) AS stage FROM {events}
          WHERE category IS NULL GROUP BY ALL) AS e FULL JOIN {stages} AS s USING (customer_id)
        WHERE e.stage IS DISTINCT FROM s.stage""") == [(0,)]
    assert rows(f"SELECT sum(transition_count) FROM {transitions}") == rows(f"SELECT count(*) FROM {events}")
    gaps = rows(
        f"SELECT count(*) FROM {events} WHERE from_stage = to_stage OR left_at <= entered_at OR entered_at >= '{NOW}'"
    )
    assert gaps == [(0,)]


def test_neither_the_order_of_arrival_nor_anything_later_changes_a_stage(lake: Path, tmp_path: Path) -> None:
    """Built at an earlier time on a lake where the newest rows landed first and everything later is another."""
    shifted = tmp_path / "shifted"
    shutil.copytree(lake / "raw", shifted / "raw")
    # The shop tells that a line was taken back and not when: of an order that later loses the rest too, the time of its
    # lost line is the order's.
    change_what_came_later(shifted, untouched_orders=f"createdAt < TIMESTAMP '{CUT}' AND len(refunds) > 0")
    with duckdb.connect() as connection:
        for stream, order in (("shopify/orders", "createdAt DESC"), ("ga4/events", "event_timestamp DESC")):
            whole = shifted / "raw" / stream / "0001.parquet"
            connection.execute("SET threads = 1; CREATE OR REPLACE TABLE landed AS SELECT *, "
                f"row_number() OVER (ORDER BY {order}, _row_hash) AS place FROM '{whole}'")  # fmt: skip
            whole.unlink()
            for part in range(3):
                target = shifted / "raw" / stream / f"{part}.parquet"
                when = f"_landed_at + INTERVAL {part} HOUR AS _landed_at"
                connection.execute(
                    f"COPY (SELECT * EXCLUDE (place) REPLACE ({when}) FROM landed "
                    f"WHERE place * 3 // (SELECT count(*) + 1 FROM landed) = {part}) TO '{target}' (FORMAT parquet)"
                )
    dbt(shifted, "build", "--exclude-resource-type", "test", "unit_test", "--select", "+journey_events", as_of=CUT)
    what = "SELECT customer_id, category, from_stage, to_stage, cause, cause_event_id, entered_at FROM"
    then, now = f"{what} {step(shifted, 'journey_events')}", f"{what} {step(lake, 'journey_events')}"
    before = f"{now} WHERE entered_at < TIMESTAMP '{CUT}'"
    assert rows(f"SELECT count(*) > 5000 FROM ({then})") == [(True,)]
    assert rows(f"SELECT count(*) FROM (({then} EXCEPT ALL {before}) UNION ALL ({before} EXCEPT ALL {then}))") == [(0,)]


def test_in_the_decision_stage_for_televisions_is_one_line(tmp_path: Path) -> None:
    lake = write_empty(tmp_path)
    person = {
        "id": "gid://shopify/Customer/{}",
        "legacyResourceId": "{}",
        "createdAt": "2026-01-01",
        "updatedAt": "2026-01-01",
    }
    people = [{key: value.format(number) for key, value in person.items()} for number in (1, 2)]
    write_rows(lake, "shopify/customers", people)
    product = {"createdAt": "2026-01-01", "updatedAt": "2026-01-01"}
    products = [("tv", "televisions"), ("tea", "TEA")]
    write_rows(lake, "shopify/products", [product | {"id": id_, "productType": type_} for id_, type_ in products])
    checkouts = [
        {"id": f"k{number}", "createdAt": "2026-10-17 00:00:00", "updatedAt": "2026-10-17 00:00:00",
         "customer": {"id": f"gid://shopify/Customer/{number}"},
         "lineItems": [{"id": f"l{number}", "quantity": 1, "product": {"id": product}}]}
        for number, product in ((1, "tv"), (2, "tea"))
    ]  # fmt: skip
    write_rows(lake, "shopify/abandoned_checkouts", checkouts)
    build(lake, "category_journey_stages")
    one_line = (
        "select customer_id from marts.category_journey_stages where category = 'televisions' and stage = 'decision'"
    )
    with duckdb.connect(str(lake / "warehouse.duckdb"), read_only=True) as warehouse:
        found = warehouse.execute(one_line).fetchall()
    assert found == rows(
        f"SELECT customer_id FROM {mart(lake, 'identity_clusters')} WHERE record_id = 'gid://shopify/Customer/1'"
    )
    assert len(found) == 1


def replayed(lake: Path) -> set[tuple[str, str]]:
    """Who is in which segment by the log alone, read from its beginning."""
    inside: set[tuple[str, str]] = set()
    log = rows(f"SELECT segment, customer_id, change FROM {mart(lake, 'segment_changes')} ORDER BY sequence_number")
    for segment, customer, change in log:
        if change == "entered":
            assert (segment, customer) not in inside
            inside.add((segment, customer))
        else:
            inside.remove((segment, customer))
    return inside


def members(lake: Path) -> set[tuple[str, str]]:
    return set(rows(f"SELECT segment, customer_id FROM {mart(lake, 'segment_members')}"))


def test_segments_hold_customers_whom_their_descriptions_say(lake: Path) -> None:
    inside = members(lake)
    customers = {row[0] for row in rows(f"SELECT customer_id FROM {mart(lake, 'customers')}")}
    assert {customer for _, customer in inside} <= customers
    first = rows(f"SELECT customer_id, min(ordered_at) FROM {mart(lake, 'orders')} WHERE NOT is_cancelled GROUP BY ALL")
    new = {customer for customer, at in first if at > NOW - 30 * DAY}
    assert new and {customer for segment, customer in inside if segment == "new_customers"} == new
    buyers = {row[0] for row in first}
    for family in ("rfm", "lifecycle", "journey"):
        held = [customer for segment, customer in inside if segment.startswith(f"{family}.")]
        assert len(held) == len(set(held)) and set(held) == (buyers if family == "rfm" else customers)
    sizes = defaultdict(set)
    for segment, customer in inside:
        sizes[segment].add(customer)
    overlaps = rows(
        f"SELECT segment_left, segment_right, customer_count, left_count FROM {mart(lake, 'segment_overlaps')}"
    )
    assert all(len(sizes[a] & sizes[b]) == both and len(sizes[a]) == left for a, b, both, left in overlaps)
    assert sum(bool(sizes[a] & sizes[b]) for a in sizes for b in sizes if a != b) == len(overlaps)


def test_segment_changes_replayed_give_the_members_and_a_repeated_build_adds_none(lake: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(lake / "raw", kept / "raw")
    shutil.copytree(lake / "marts", kept / "marts")
    before = members(kept)
    assert replayed(kept) == before
    select = ("build", "--exclude-resource-type", "test", "unit_test", "--select", "+segment_members")
    dbt(kept, *select, as_of=LATER)
    after = members(kept)
    assert replayed(kept) == after
    assert before - after and after - before
    told = f"FROM {mart(kept, 'segment_changes')} WHERE changed_at = '{LATER}'::TIMESTAMP"
    assert dict(rows(f"SELECT change, count(*) {told} GROUP BY ALL")) == {
        "entered": len(after - before),
        "left": len(before - after),
    }
    stayed = f"SELECT DISTINCT entered_at FROM {mart(kept, 'segment_members')} WHERE segment = 'lifecycle.lead'"
    assert rows(stayed) == [(NOW,)]
    # killed after the log was written and before the members were: the next build tells nothing twice
    log = rows(f"FROM {mart(kept, 'segment_changes')} ORDER BY ALL")
    (kept / "marts/segment_members/data.parquet").write_bytes(
        (lake / "marts/segment_members/data.parquet").read_bytes()
    )
    again = ["members_before", "segment_changes", "segment_members"]
    dbt(kept, "run", "--select", *again, as_of=LATER)
    assert rows(f"FROM {mart(kept, 'segment_changes')} ORDER BY ALL") == log
    assert members(kept) == after
