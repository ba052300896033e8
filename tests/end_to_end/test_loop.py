"""The life of a small shop, told in order: its first day, a quiet second run, a run without the CRM, a day of changes.

Everything is real: HTTP to the sandbox, Dagster's jobs, dbt, the models, the pushes. Each test looks at what the days
before it have left.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from connectors.lake import Lake
from connectors.sandbox import state
from connectors.sandbox.clock import WORLD_NOW
from connectors.sandbox.next_day import NEXT_NOW, live_one_day
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World
from tests.conftest import PACE
from tests.pipeline import Pipeline, Run

pytestmark = pytest.mark.slow

SOURCES = ("shopify", "hubspot", "ga4", "mailchimp", "meta", "google_ads")


@dataclass
class Shop:
    """The shop, its lake, and what has happened so far."""

    world: World
    sandbox: Sandbox
    lake: Lake
    home: Path
    pulls: list[dict[str, Run]] = field(default_factory=list)
    days: list[Run] = field(default_factory=list)
    pipelines: dict[str, Pipeline] = field(default_factory=dict)

    def pipeline(self, as_of: str, **variables: str) -> Pipeline:
        name = f"{as_of} {variables}"
        if name not in self.pipelines:
            environment = self.sandbox.environment() | variables
            self.pipelines[name] = Pipeline(self.lake, self.home / "home", environment, as_of)
        return self.pipelines[name]

    def live(self, as_of: str, **variables: str) -> tuple[dict[str, Run], Run]:
        """One night: every pull, then build, score and push."""
        pipeline = self.pipeline(as_of, **variables)
        self.pulls.append(pipeline.pull_all())
        self.days.append(pipeline.daily())
        return self.pulls[-1], self.days[-1]

    def mart(self, name: str) -> pd.DataFrame:
        return self.dataset("marts", name)

    def dataset(self, *parts: str, columns: list[str] | None = None) -> pd.DataFrame:
        """All rows of a dataset of the lake."""
        return pd.concat(pd.read_parquet(file, columns=columns) for file in self.lake.files("/".join(parts)))

    def table(self, name: str) -> pd.DataFrame:
        """A table of the world as it was made, before any day was lived."""
        return pd.read_parquet(self.world.path(name))

    def held(self) -> dict[str, list[str]]:
        """<destination>/<audience> → who is truly in it, asked of the vendors."""
        return {name: sorted(self.sandbox.members(*name.split("/"))) for name in self.days[0].pushes}

    def list_statuses(self) -> dict[str, str]:
        """Address → its status in the e-mail tool."""
        return dict(self.sandbox.execute("select lower(email), status from mailchimp_members"))


TODAY, TOMORROW = WORLD_NOW.isoformat(), f"{NEXT_NOW.isoformat()}+00:00"


@pytest.fixture(scope="module")
def shop(world: World, prepared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop after its first day."""
    folder = tmp_path_factory.mktemp("shop")
    state.copy_prepared(prepared_state, folder / "sandbox")
    with Sandbox(world, folder / "sandbox", pace=PACE) as sandbox:
        shop = Shop(world, sandbox, Lake(folder / "lake"), folder)
        before = shop.list_statuses()
        shop.live(TODAY)
        now = shop.list_statuses()
        assert {email: now[email] for email in before} == before, "a push changed somebody's status"
        assert {now[email] for email in now.keys() - before.keys()} <= {"transactional"}, "a push signed somebody up"
        yield shop


# ── the first day ──


def test_on_the_first_day_everything_is_pulled_built_scored_and_pushed(shop: Shop) -> None:
    assert all(run.is_success for run in shop.pulls[0].values())
    assert shop.days[0].is_success, shop.days[0].failed_steps
    landed = {name: rows for run in shop.pulls[0].values() for name, rows in run.landed.items()}
    assert len(landed) == 15 and all(landed.values()), landed
    assert not shop.days[0].failed_checks


def test_rows_in_the_lake_are_the_shops(shop: Shop) -> None:
    landed = {name: rows for run in shop.pulls[0].values() for name, rows in run.landed.items()}
    tables = {
        "raw_shopify/customers": "shopify_customers",
        "raw_shopify/orders": "shopify_orders",
        "raw_shopify/products": "shopify_products",
        "raw_shopify/abandoned_checkouts": "shopify_checkouts",
        "raw_hubspot/companies": "hubspot_companies",
        "raw_ga4/events": "ga4_events",
        "raw_mailchimp/members": "mailchimp_members",
        "raw_mailchimp/reports": "mailchimp_campaigns",
        "raw_mailchimp/email_activity": "mailchimp_sends",
        "raw_mailchimp/unsubscribes": "mailchimp_unsubscribes",
    }
    for stream, table in tables.items():
        assert landed[stream] == len(shop.table(table)), stream
    # the CRM lists nothing that it has archived
    for objects in ("contacts", "deals"):
        assert landed[f"raw_hubspot/{objects}"] == (~shop.table(f"hubspot_{objects}").archived).sum()


def test_orders_and_revenue_are_the_shops(shop: Shop) -> None:
    orders, refunds = shop.table("shopify_orders"), shop.table("shopify_refunds")
    orders = orders[~orders.test]
    returned = refunds.groupby("order_id").amount.sum()
    kept = orders[orders.cancelled_at.isna()]
    revenue = sum(
        max(total - returned.get(order, 0), 0) for order, total in zip(kept.id, kept.total_price, strict=True)
    )
    mart = shop.mart("orders")
    assert len(mart) == len(orders)
    assert mart.order_total.sum() == orders.total_price.sum()
    assert mart.net_total.sum() == revenue
    assert len(shop.mart("order_lines")) == shop.table("shopify_order_lines").order_id.isin(orders.id).sum()


def test_every_person_the_shop_knows_is_one_customer(shop: Shop) -> None:
    clusters = shop.mart("identity_clusters")
    assert not clusters.duplicated(["record_type", "record_id"]).any()
    guests = shop.table("shopify_orders").query("customer_id.isna()")
    counts = clusters.record_type.value_counts()
    assert counts["shopify.customers"] == len(shop.table("shopify_customers"))
    assert counts["hubspot.contacts"] == (~shop.table("hubspot_contacts").archived).sum()
    assert counts["shopify.orders"] == len(guests)
    people = clusters[clusters.record_type.isin(["shopify.customers", "hubspot.contacts", "shopify.orders"])]
    customers = shop.mart("customers")
    assert set(customers.customer_id) == set(people.customer_id)
    # The truth is known to the world alone; a few people are written too differently to be joined.
    truth = shop.table("truth")
    persons = truth[truth.record_type.isin(people.record_type)].person_id.nunique()
    assert persons <= len(customers) <= 1.1 * persons


def bought(shop: Shop) -> pd.DataFrame:
    """Orders that count, each with its customer: the world's own rows, with nothing of the warehouse but who is who."""
    clusters = shop.mart("identity_clusters")
    who = {(row.record_type, row.record_id): row.customer_id for row in clusters.itertuples()}
    orders = shop.table("shopify_orders").query("~test and cancelled_at.isna()").copy()
    orders["customer"] = [
        who["shopify.orders", f"gid://shopify/Order/{order}"]
        if pd.isna(account)
        else who["shopify.customers", f"gid://shopify/Customer/{int(account)}"]
        for order, account in zip(orders.id, orders.customer_id, strict=True)
    ]
    returned = shop.table("shopify_refunds").groupby("order_id").amount.sum()
    orders["kept"] = [
        max(total - returned.get(order, 0), 0) for order, total in zip(orders.id, orders.total_price, strict=True)
    ]
    return orders


def test_audiences_hold_whom_their_descriptions_say(shop: Shop) -> None:
    now = WORLD_NOW.replace(tzinfo=None)
    orders = bought(shop)
    people = orders.groupby("customer")
    days_silent = (now - people.created_at.max()).dt.days
    days_known = (now - people.created_at.min()).dt.days
    spent = orders[orders.created_at >= now - pd.Timedelta(days=365)].groupby("customer").kept.sum()
    spent = pd.DataFrame(
        {"spent": [spent.get(customer, 0) for customer in people.groups], "customer": list(people.groups)}
    )

    assert set(shop.mart("new_customer_welcome").customer_id) == set(days_known.index[days_known < 30])

    best = spent.sort_values(["spent", "customer"], ascending=[False, True]).customer.tolist()
    # A tenth: the first of ten parts as equal as can be.
    tenth = best[: len(best) // 10 + (len(best) % 10 > 0)]
    assert set(shop.mart("vip").customer_id) == {customer for customer in tenth if days_silent[customer] < 60}

    churn = shop.dataset("scores/churn").set_index("customer_id").churn_probability
    lost = {
        customer
        for customer, order_count in people.size().items()
        if order_count >= 3 and days_silent[customer] >= 30 and churn.get(customer, 0) >= 0.5
    }
    assert set(shop.mart("win_back").customer_id) == lost

    checkouts = shop.table("shopify_checkouts").query("completed_at.isna()")
    recent = checkouts[
        (checkouts.updated_at < now - pd.Timedelta(hours=1)) & (checkouts.updated_at >= now - pd.Timedelta(days=14))
    ]
    clusters = shop.mart("identity_clusters").query("record_type == 'shopify.customers'")
    who = dict(zip(clusters.record_id, clusters.customer_id, strict=True))
    last_order = people.created_at.max()
    left = {
        who[f"gid://shopify/Customer/{int(row.customer_id)}"]: row.updated_at
        for row in recent.itertuples()
        if not pd.isna(row.customer_id)
    }
    still_open = {customer for customer, at in left.items() if not last_order.get(customer, pd.Timestamp.min) >= at}
    carts = shop.mart("abandoned_cart").set_index("customer_id").cart_updated_at
    assert still_open and still_open <= set(carts.index)
    # The others put something into a basket on the site and never came to the checkout.
    clusters = shop.mart("identity_clusters").query("record_type == 'ga4.user_pseudo_id'")
    devices = dict(zip(clusters.record_id, clusters.customer_id, strict=True))
    events = shop.table("ga4_events").query("event_name == 'add_to_cart'")
    added = {
        (devices.get(device), at) for device, at in zip(events.user_pseudo_id, events.event_timestamp, strict=True)
    }
    for customer in set(carts.index) - still_open:
        at = carts[customer]
        assert (customer, at.value // 1000) in added
        assert now - pd.Timedelta(days=14) <= at < now - pd.Timedelta(hours=1)
        assert not last_order.get(customer, pd.Timestamp.min) >= at


def test_the_vendors_hold_exactly_whom_we_may_reach(shop: Shop) -> None:
    held = shop.held()
    assert len(held) == 13
    for name, push in shop.days[0].pushes.items():
        assert push["wanted"] == len(shop.mart(name.split("/")[1])), name
        assert push["confirmed"] == push["wanted"] - sum(push["blocked"].values()) == len(held[name]), name
        assert push["added"] == len(held[name]) and push["removed"] == push["unknown"] == push["rejected"] == 0, name
    assert sum(map(len, held.values())) > 0


def test_nobody_who_said_no_is_in_an_audience(shop: Shop) -> None:
    """Counted from what people told each system, not from our own consent table."""
    members = {
        email.lower() for name, emails in shop.held().items() if name.startswith("mailchimp/") for email in emails
    }
    statuses = shop.list_statuses()
    assert members and all(statuses.get(email, "transactional") in ("subscribed", "transactional") for email in members)
    consents = shop.table("hubspot_consents")
    accounts = shop.table("shopify_customers")
    yes = set(accounts.query("email_marketing_state == 'SUBSCRIBED'").email.dropna().str.lower())
    yes |= set(consents.query("status == 'SUBSCRIBED'").email.str.lower())
    yes |= {email for email, status in statuses.items() if status == "subscribed"}
    assert members <= yes


EMAIL = re.compile(rb"[\w.+-]+@[\w.-]+\w")


def personal_texts(shop: Shop) -> tuple[set[bytes], set[bytes]]:
    """Everybody's e-mail, and everybody's phone with every secret, in lower case."""
    emails, others = set(shop.table("persons").email.dropna()), set(shop.table("persons").phone.dropna())
    for table in ("shopify_customers", "hubspot_contacts", "mailchimp_members", "hubspot_consents"):
        emails |= set(shop.table(table).email.dropna())
    for table, column in (
        ("shopify_customers", "phone"),
        ("hubspot_contacts", "phone"),
        ("hubspot_contacts", "mobilephone"),
    ):
        others |= {phone.strip() for phone in shop.table(table)[column].dropna() if len(phone.strip()) > 6}
    environment = shop.sandbox.environment()
    others |= {environment[name] for name in environment if name.endswith(("_KEY", "_SECRET", "_TOKEN"))}
    others.add(json.loads(environment["GA4_CREDENTIALS_JSON"])["private_key"][40:100])
    return {text.strip().lower().encode() for text in emails}, {text.lower().encode() for text in others}


def clear_text(path: Path) -> bytes:
    """A file's content; of Parquet its values, which would otherwise hide behind compression."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_csv().encode()
    return path.read_bytes()


@pytest.mark.parametrize("where", ["lake/plans", "lake/receipts", "lake/scores", "home"])
def test_no_address_and_no_secret_stands_in_clear(shop: Shop, where: str) -> None:
    """In what the lake keeps of pushes and scores, in dbt's logs and in Dagster's files and books."""
    files = [path for path in (shop.home / where).rglob("*") if path.is_file() and path.suffix != ".joblib"]
    assert files, f"nothing under {where}: the test would say nothing"
    texts = {str(path): clear_text(path) for path in files}
    if where == "home":
        texts["Dagster's books"] = shop.pipeline(TODAY).books().encode()
        assert b"mailchimp__vip" in texts["Dagster's books"]
    emails, others = personal_texts(shop)
    assert EMAIL.search(b"told: taro@mail.example.") and len(emails) > 100 < len(others)
    for name, text in texts.items():
        lowered = text.lower()
        assert not emails & set(EMAIL.findall(lowered)), name
        assert not [word for word in others if word in lowered], name


# ── the same day again ──


def test_a_second_run_reads_only_what_our_pushes_changed_and_sends_nothing(shop: Shop) -> None:
    held, asked = shop.held(), shop.sandbox.dump()
    pulls, day = shop.live(TODAY)
    assert day.is_success and all(run.is_success for run in pulls.values())
    for vendor in ("shopify", "hubspot", "ga4"):
        assert not any(pulls[vendor].landed.values()), vendor
    assert {(p["added"], p["removed"], p["updated"]) for p in day.pushes.values()} == {(0, 0, 0)}
    assert all(push["confirmed"] == push["wanted"] - sum(push["blocked"].values()) for push in day.pushes.values())
    assert shop.held() == held
    assert shop.sandbox.dump() == asked


def test_a_third_run_without_the_crm_builds_nothing_and_everything_stands(shop: Shop) -> None:
    files = shop.lake.files("raw/hubspot/contacts")
    shop.sandbox.fault("hubspot", "down")
    pulls, day = shop.live(TODAY, KIZUNA_RETRY_SECONDS="1")
    shop.sandbox.faults.clear()
    assert [vendor for vendor in SOURCES if not pulls[vendor].is_success] == ["hubspot"]
    assert "hubspot" in pulls["hubspot"].failed_steps["pull_hubspot"]
    assert shop.lake.files("raw/hubspot/contacts") == files, "yesterday's data stands"
    assert not any(rows for run in pulls.values() for rows in run.landed.values())
    assert day.is_success and not day.built
    assert len(day.pushes) == len(shop.days[0].pushes)
    assert {(p["added"], p["removed"], p["updated"]) for p in day.pushes.values()} == {(0, 0, 0)}


# ── a day of changes ──


@pytest.fixture(scope="module")
def changed(shop: Shop) -> dict[str, Any]:
    """The shop has lived one more day and the pipeline has run; who and what it was before."""
    before = {
        "held": shop.held(),
        "statuses": shop.list_statuses(),
        "customers": {row[0] for row in shop.sandbox.execute("select id from shopify_customers")},
        "orders": shop.mart("orders"),
        "clusters": shop.mart("identity_clusters"),
        "sessions": shop.mart("sessions"),
    }
    live_one_day(shop.sandbox.state)
    before["statuses then"] = shop.list_statuses()
    shop.sandbox.requests.clear()
    shop.live(TOMORROW)
    return before


def test_who_unsubscribed_is_out_of_every_email_audience_and_never_signed_up_again(
    shop: Shop, changed: dict[str, Any]
) -> None:
    left = {email for email, status in changed["statuses then"].items() if status != changed["statuses"][email]}
    assert left, "nobody unsubscribed: the day was too quiet"
    was_in = {
        email.lower() for name, held in changed["held"].items() if name.startswith("mailchimp/") for email in held
    }
    assert left <= was_in
    now_in = {email.lower() for name, held in shop.held().items() if name.startswith("mailchimp/") for email in held}
    assert not left & now_in
    statuses = shop.list_statuses()
    assert all(statuses[email] == "unsubscribed" for email in left)
    written = [request for request in shop.sandbox.requests.last("mailchimp") if request["method"] != "GET"]
    assert not [request for request in written if '"subscribed"' in request["body"]]


def test_only_the_changes_of_the_day_are_read(shop: Shop, changed: dict[str, Any]) -> None:
    landed = {name: rows for run in shop.pulls[-1].values() for name, rows in run.landed.items()}
    assert 0 < landed["raw_shopify/orders"] < 200
    assert 0 < landed["raw_hubspot/contacts"] < 20
    assert landed["raw_shopify/products"] == 0


def test_customers_deleted_and_merged_at_the_shop_are_seen(shop: Shop, changed: dict[str, Any]) -> None:
    gone = changed["customers"] - {row[0] for row in shop.sandbox.execute("select id from shopify_customers")}
    assert len(gone) == 2
    raw = shop.dataset("raw/shopify/customers", columns=["id", "_is_deleted"])
    assert set(raw[raw._is_deleted].id) == {f"gid://shopify/Customer/{customer}" for customer in gone}
    # The orders of the merged one are the surviving account's now, and none is lost.
    orders, before = shop.mart("orders"), changed["orders"]
    assert set(before.order_id) <= set(orders.order_id)
    accounts = shop.dataset("raw/shopify/orders", columns=["id", "customer", "updatedAt"])
    newest = accounts.sort_values("updatedAt").drop_duplicates("id", keep="last")
    assert not {row["id"] for row in newest.customer.dropna()} & set(raw[raw._is_deleted].id)


def test_known_customers_keep_their_ids(shop: Shop, changed: dict[str, Any]) -> None:
    key = ["record_type", "record_id"]
    both = changed["clusters"].merge(shop.mart("identity_clusters"), on=key, suffixes=("_before", "_now"))
    moved = both[both.customer_id_before != both.customer_id_now]
    told = shop.mart("customer_history")
    assert set(moved.customer_id_before) <= set(told.previous_customer_id)


def test_late_events_join_their_day_and_change_nothing_else(shop: Shop, changed: dict[str, Any]) -> None:
    events = shop.sandbox.execute("select count(*) from ga4_events")[0][0]
    raw = shop.dataset("raw/ga4/events", columns=["_table"])
    assert len(raw) == events
    days = set(raw._table)
    assert not {day for day in days if day.startswith("intraday_") and day.removeprefix("intraday_") in days}
    before, now = changed["sessions"], shop.mart("sessions")
    old = now[now.session_id.isin(before.session_id)]
    assert len(old) == len(before)


def test_the_day_is_pushed_and_the_vendors_agree(shop: Shop, changed: dict[str, Any]) -> None:
    day = shop.days[-1]
    # One guard may hold back an audience of one; everything else is in step.
    assert all("maximum_" in text for text in day.failed_steps.values()), day.failed_steps
    assert len(day.pushes) >= 8
    held = shop.held()
    for name, push in day.pushes.items():
        assert push["confirmed"] == push["wanted"] - sum(push["blocked"].values()) == len(held[name]), name
