"""Letters, clicks and claims of the world agree with its members, visits and orders, recomputed in plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pytest

from connectors.sandbox.clock import WORLD_NOW
from connectors.sandbox.schema import TABLES
from connectors.sandbox.world import World

Row = dict[str, Any]


@pytest.fixture(scope="module")
def table(world: World) -> dict[str, list[Row]]:
    """Table → its rows as dictionaries."""
    names = [name for name in TABLES if name.startswith(("mailchimp_", "ad_"))] + [
        "shopify_orders",
        "truth",
        "ga4_events",
    ]
    found = {}
    with duckdb.connect() as connection:
        for name in names:
            columns = (
                "*"
                if name != "ga4_events"
                else ("event_name, event_timestamp, user_pseudo_id, collected_traffic_source AS link, ecommerce")
            )
            answer = connection.execute(f"SELECT {columns} FROM '{world.path(name)}'")
            header = [column[0] for column in answer.description]
            found[name] = [dict(zip(header, row, strict=True)) for row in answer.fetchall()]
    return found


def test_letters_went_to_those_who_were_on_the_list_then(table: dict[str, list[Row]]) -> None:
    members = {row["email"]: row for row in table["mailchimp_members"]}
    sent_at = {row["id"]: row["send_time"] for row in table["mailchimp_campaigns"]}
    assert table["mailchimp_sends"]
    for row in table["mailchimp_sends"]:
        member, moment = members[row["email"]], sent_at[row["campaign_id"]]
        assert member["timestamp_opt"] is not None
        assert member["timestamp_opt"] < moment
        assert member["status"] == "subscribed" or moment < member["last_changed"]


def test_a_hard_bounce_is_the_last_letter_of_an_address_that_was_cleaned(table: dict[str, list[Row]]) -> None:
    members = {row["email"]: row["status"] for row in table["mailchimp_members"]}
    sent_at = {row["id"]: row["send_time"] for row in table["mailchimp_campaigns"]}
    letters: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for row in table["mailchimp_sends"]:
        letters[row["email"]].append((sent_at[row["campaign_id"]], row["status"]))
    for email, sent in letters.items():
        kinds = [kind for _, kind in sorted(sent)]
        assert "hard" not in kinds[:-1]
        assert (kinds[-1] == "hard") == (members[email] == "cleaned")


def test_who_left_by_a_letter_is_unsubscribed_since_then(table: dict[str, list[Row]]) -> None:
    members = {row["email"]: row for row in table["mailchimp_members"]}
    sent = {(row["campaign_id"], row["email"]) for row in table["mailchimp_sends"]}
    assert table["mailchimp_unsubscribes"]
    for row in table["mailchimp_unsubscribes"]:
        member = members[row["email"]]
        assert (member["status"], member["self_unsubscribed"]) == ("unsubscribed", True)
        assert member["last_changed"] == row["unsubscribed_at"]
        assert (row["campaign_id"], row["email"]) in sent


def test_nothing_happens_to_a_letter_before_it_is_sent_or_after_the_present(table: dict[str, list[Row]]) -> None:
    sent_at = {row["id"]: row["send_time"] for row in table["mailchimp_campaigns"]}
    status = {(row["campaign_id"], row["email"]): row["status"] for row in table["mailchimp_sends"]}
    for row in table["mailchimp_activity"]:
        assert sent_at[row["campaign_id"]] < row["occurred_at"] <= WORLD_NOW
        assert (status[row["campaign_id"], row["email"]] == "sent") == (row["action"] != "bounce")


def test_visits_by_a_letter_have_their_click(table: dict[str, list[Row]]) -> None:
    titles = {row["id"]: row["title"] for row in table["mailchimp_campaigns"]}
    clicks: dict[str, list[datetime]] = defaultdict(list)
    for row in table["mailchimp_activity"]:
        if row["action"] == "click":
            clicks[titles[row["campaign_id"]]].append(row["occurred_at"])
    visits = [
        (row["link"]["manual_campaign_name"], datetime(1970, 1, 1) + timedelta(microseconds=row["event_timestamp"]))
        for row in table["ga4_events"]
        if row["event_name"] == "session_start" and row["link"] and row["link"]["manual_medium"] == "email"
    ]
    assert visits
    for title, started_at in visits:
        assert any(timedelta() < started_at - clicked < timedelta(seconds=8) for clicked in clicks[title])


def test_campaigns_of_visits_are_known_to_their_tools(table: dict[str, list[Row]]) -> None:
    known = {
        "email": {row["title"] for row in table["mailchimp_campaigns"]},
        "cpc": {row["name"] for row in table["ad_campaigns"] if row["platform"] == "google_ads"},
        "paid_social": {row["name"] for row in table["ad_campaigns"] if row["platform"] == "meta"},
    }
    links = {
        (row["link"]["manual_medium"], row["link"]["manual_campaign_name"])
        for row in table["ga4_events"]
        if row["link"]
    }
    assert {medium for medium, _ in links} == {*known, "organic", "referral", "social"}
    for medium, campaign in links:
        assert campaign in known.get(medium, {campaign})


def test_the_mail_tool_claims_each_web_order_a_month_after_the_last_click(table: dict[str, list[Row]]) -> None:
    clicks: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for row in table["mailchimp_activity"]:
        if row["action"] == "click":
            clicks[row["email"].lower()].append((row["occurred_at"], row["campaign_id"]))
    expected = {}
    for order in table["shopify_orders"]:
        if order["test"] or order["source_name"] != "web" or order["email"] is None:
            continue
        before = [moment for moment, _ in clicks[order["email"].lower()] if moment <= order["created_at"]]
        if before and order["created_at"] < max(before) + timedelta(days=30):
            expected[order["id"]] = (max(before), order["total_price"])
    assert {row["order_id"]: (row["clicked_at"], row["revenue"]) for row in table["mailchimp_claims"]} == expected


def test_ads_claim_real_web_orders_dated_to_the_click_within_the_window(table: dict[str, list[Row]]) -> None:
    orders = {row["id"]: row for row in table["shopify_orders"]}
    days = {(row["campaign_id"], row["activity_date"]) for row in table["ad_days"]}
    windows = {("meta", "click"): 7, ("meta", "double"): 7, ("meta", "view"): 1, ("google_ads", "click"): 30}
    shares: dict[int, Any] = defaultdict(int)
    for row in table["ad_claims"]:
        order = orders[row["order_id"]]
        assert order["source_name"] == "web" and not order["test"]
        assert (row["campaign_id"], row["activity_date"]) in days
        late = ((order["created_at"] + timedelta(hours=9)).date() - row["activity_date"]).days
        assert 0 <= late <= windows[row["platform"], row["kind"]]
        assert row["visible_at"] > order["created_at"]
        if row["platform"] == "google_ads":
            shares[row["order_id"]] += row["credit"]
        else:
            assert (row["credit"], row["value"]) == (1, order["total_price"])
    assert all(share <= 1 for share in shares.values())
    assert {row["kind"] for row in table["ad_claims"]} == {"click", "view", "double"}


def test_two_tools_claim_the_same_order(table: dict[str, list[Row]]) -> None:
    claimants = [
        {row["order_id"] for row in table["ad_claims"] if row["platform"] == platform}
        for platform in ("meta", "google_ads")
    ] + [{row["order_id"] for row in table["mailchimp_claims"]}]
    meta, google, mail = claimants
    assert meta & google and meta & mail and google & mail


def test_some_claims_are_only_learnt_of_after_the_present(table: dict[str, list[Row]]) -> None:
    late = {row["platform"] for row in table["ad_claims"] if row["visible_at"] > WORLD_NOW}
    assert late == {"meta", "google_ads"}
