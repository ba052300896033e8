"""Pulling what changed at the vendor: new versions, late rows, deletes, merges, restores, replaced days."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.errors import MalformedAnswer
from connectors.extract import PullFailed, bookmark, pull
from connectors.lake import Lake
from connectors.landing import Landing
from connectors.sandbox.server import Sandbox
from connectors.sources import ga4, hubspot, mailchimp, shopify
from connectors.stream import Bookmark, Source

NOW = datetime(2026, 10, 18, 15, tzinfo=UTC)
AT_ONCE = timedelta(0)
pytestmark = pytest.mark.usefixtures("environment")


def pulled(source: Source, lake: Lake, *streams: str, as_of: datetime = NOW, sweep: timedelta | None = None) -> Any:
    results = pull(source, lake, streams=streams, as_of=as_of, sweep_every=sweep)
    return results[0] if len(results) == 1 else results


def query(lake: Lake, dataset: str, sql: str) -> list[tuple[Any, ...]]:
    """`sql` over the raw table `raw`."""
    with lake.connect() as connection:
        connection.execute(
            f"CREATE VIEW raw AS SELECT * FROM read_parquet('{lake.glob('raw/' + dataset)}', union_by_name = true)"
        )
        return connection.execute(sql).fetchall()


def newest(lake: Lake, dataset: str, key: str, columns: str) -> tuple[Any, ...]:
    [row] = query(lake, dataset, f"SELECT {columns} FROM raw WHERE id = '{key}' ORDER BY _landed_at DESC LIMIT 1")
    return row


def some_customer(sandbox: Sandbox) -> int:
    return int(sandbox.execute("SELECT min(id) FROM shopify_customers")[0][0])


# ── changes ──


def test_changed_row_lands_as_one_new_version(sandbox: Sandbox, lake: Lake) -> None:
    pulled(shopify.SOURCE, lake, "customers")
    one = some_customer(sandbox)
    sandbox.execute(
        "UPDATE shopify_customers SET first_name = '花子', updated_at = '2026-10-18 14:00:00' WHERE id = ?", [one]
    )
    assert pulled(shopify.SOURCE, lake, "customers").rows == 1
    gid = f"gid://shopify/Customer/{one}"
    assert query(lake, "shopify/customers", f"SELECT count(*) FROM raw WHERE id = '{gid}'") == [(2,)]
    assert newest(lake, "shopify/customers", gid, "firstName, _is_deleted") == ("花子", False)
    assert pulled(shopify.SOURCE, lake, "customers").rows == 0


def test_row_that_shows_up_late_within_the_overlap_is_not_missed(sandbox: Sandbox, lake: Lake) -> None:
    pulled(hubspot.SOURCE, lake, "contacts")
    start = bookmark("hubspot", hubspot.SOURCE.stream("contacts"), lake, NOW).since
    assert start is not None
    late = (start + timedelta(minutes=1)).replace(tzinfo=None)
    contact = sandbox.execute("SELECT min(id) FROM hubspot_contacts WHERE NOT archived")[0][0]
    sandbox.execute("UPDATE hubspot_contacts SET city = 'Otaru', updated_at = ? WHERE id = ?", [late, contact])
    assert pulled(hubspot.SOURCE, lake, "contacts").rows == 1
    assert newest(lake, "hubspot/contacts", str(contact), "properties.city") == ("Otaru",)


def test_date_in_the_future_does_not_move_the_bookmark_past_others(sandbox: Sandbox, lake: Lake) -> None:
    contacts = [row[0] for row in sandbox.execute("SELECT id FROM hubspot_contacts WHERE NOT archived LIMIT 2")]
    sandbox.execute("UPDATE hubspot_contacts SET updated_at = '2999-01-01' WHERE id = ?", [contacts[0]])
    result = pulled(hubspot.SOURCE, lake, "contacts")
    assert result.bookmark is not None
    assert result.bookmark < NOW
    sandbox.execute("UPDATE hubspot_contacts SET updated_at = '2026-10-18 14:59:00' WHERE id = ?", [contacts[1]])
    assert pulled(hubspot.SOURCE, lake, "contacts").rows == 1


def test_consent_that_changes_alone_is_seen(sandbox: Sandbox, lake: Lake) -> None:
    pulled(hubspot.SOURCE, lake, "consents")
    [(email, subscription)] = sandbox.execute(
        "SELECT c.email, c.subscription_id FROM hubspot_consents c JOIN hubspot_contacts h ON h.email = c.email"
        " WHERE NOT h.archived AND c.status = 'SUBSCRIBED' ORDER BY ALL LIMIT 1"
    )
    sandbox.execute(
        "UPDATE hubspot_consents SET status = 'UNSUBSCRIBED', updated_at = '2026-01-05' "
        "WHERE email = ? AND subscription_id = ?",
        [email, subscription],
    )
    assert pulled(hubspot.SOURCE, lake, "consents").rows == 1


def test_unsubscribe_made_in_mailchimp_is_seen(sandbox: Sandbox, lake: Lake) -> None:
    pulled(mailchimp.SOURCE, lake, "members")
    [(email,)] = sandbox.execute("SELECT min(email) FROM mailchimp_members WHERE status = 'subscribed'")
    sandbox.execute(
        "UPDATE mailchimp_members SET status = 'unsubscribed', last_changed = '2026-10-18 14:30:00' WHERE email = ?",
        [email],
    )
    assert pulled(mailchimp.SOURCE, lake, "members").rows == 1
    assert query(lake, "mailchimp/members", f"SELECT count(*) FROM raw WHERE email_address = '{email}'") == [(2,)]


def test_archived_member_is_read_with_its_status(sandbox: Sandbox, lake: Lake) -> None:
    [(email,)] = sandbox.execute("SELECT min(email) FROM mailchimp_members WHERE status = 'subscribed'")
    sandbox.execute("UPDATE mailchimp_members SET status = 'archived' WHERE email = ?", [email])
    pulled(mailchimp.SOURCE, lake, "members")
    assert query(lake, "mailchimp/members", f"SELECT status FROM raw WHERE email_address = '{email}'") == [
        ("archived",)
    ]


# ── deletes, merges, restores ──


def test_deleted_customer_becomes_a_tombstone(sandbox: Sandbox, lake: Lake) -> None:
    pulled(shopify.SOURCE, lake, "customers")
    one = some_customer(sandbox)
    sandbox.execute("DELETE FROM shopify_customers WHERE id = ?", [one])
    result = pulled(shopify.SOURCE, lake, "customers", sweep=AT_ONCE)
    assert (result.rows, result.deleted) == (1, 1)
    gone = newest(lake, "shopify/customers", f"gid://shopify/Customer/{one}", "_is_deleted, firstName, updatedAt")
    assert gone[0] is True
    assert gone[1] is None
    assert gone[2] is not None
    again = pulled(shopify.SOURCE, lake, "customers", sweep=AT_ONCE)
    assert (again.rows, again.deleted, again.commits) == (0, 0, [])


def test_merged_contact_goes_and_the_winner_names_it(sandbox: Sandbox, lake: Lake) -> None:
    pulled(hubspot.SOURCE, lake, "contacts")
    loser, winner = (
        r[0] for r in sandbox.execute("SELECT id FROM hubspot_contacts WHERE NOT archived ORDER BY id LIMIT 2")
    )
    sandbox.execute("DELETE FROM hubspot_contacts WHERE id = ?", [loser])
    sandbox.execute(
        "UPDATE hubspot_contacts SET hs_merged_object_ids = ?, updated_at = '2026-10-18 14:59:00' WHERE id = ?",
        [str(loser), winner],
    )
    archived = sandbox.execute("SELECT count(*) FROM hubspot_contacts WHERE archived")[0][0]
    result = pulled(hubspot.SOURCE, lake, "contacts", sweep=AT_ONCE)
    assert (result.rows, result.deleted) == (2 + archived, 1)
    assert newest(lake, "hubspot/contacts", str(loser), "_is_deleted") == (True,)
    assert newest(lake, "hubspot/contacts", str(winner), "properties.hs_merged_object_ids, _is_deleted") == (
        str(loser),
        False,
    )


def test_archived_contact_is_marked_and_a_restored_one_comes_back(sandbox: Sandbox, lake: Lake) -> None:
    pulled(hubspot.SOURCE, lake, "contacts")
    contact = sandbox.execute("SELECT min(id) FROM hubspot_contacts WHERE NOT archived")[0][0]
    archived_before = sandbox.execute("SELECT count(*) FROM hubspot_contacts WHERE archived")[0][0]
    sandbox.execute(
        "UPDATE hubspot_contacts SET archived = true, archived_at = '2026-10-18 14:00:00' WHERE id = ?", [contact]
    )
    result = pulled(hubspot.SOURCE, lake, "contacts", sweep=AT_ONCE)
    # Those archived before the first pull are told by the first sweep as well.
    assert result.rows == archived_before + 1
    assert newest(lake, "hubspot/contacts", str(contact), "_is_deleted, archived, properties.email IS NOT NULL") == (
        True,
        True,
        True,
    )
    assert pulled(hubspot.SOURCE, lake, "contacts", sweep=AT_ONCE).rows == 0
    sandbox.execute("UPDATE hubspot_contacts SET archived = false, archived_at = NULL WHERE id = ?", [contact])
    assert pulled(hubspot.SOURCE, lake, "contacts", sweep=AT_ONCE).rows == 1
    assert newest(lake, "hubspot/contacts", str(contact), "_is_deleted, archived") == (False, False)


def test_deleted_member_becomes_a_tombstone(sandbox: Sandbox, lake: Lake) -> None:
    pulled(mailchimp.SOURCE, lake, "members")
    sandbox.execute("DELETE FROM mailchimp_members WHERE email = (SELECT min(email) FROM mailchimp_members)")
    result = pulled(mailchimp.SOURCE, lake, "members", sweep=AT_ONCE)
    assert (result.rows, result.deleted) == (1, 1)


def test_row_that_was_overlooked_is_fetched(sandbox: Sandbox, lake: Lake) -> None:
    [row] = sandbox.execute("SELECT * FROM hubspot_companies ORDER BY id LIMIT 1")
    sandbox.execute("DELETE FROM hubspot_companies WHERE id = ?", [row[0]])
    pulled(hubspot.SOURCE, lake, "companies")
    marks = ", ".join("?" * len(row))
    sandbox.execute(f"INSERT INTO hubspot_companies VALUES ({marks})", list(row))
    assert pulled(hubspot.SOURCE, lake, "companies").rows in (0, 1)
    pulled(hubspot.SOURCE, lake, "companies", sweep=AT_ONCE)
    assert newest(lake, "hubspot/companies", str(row[0]), "_is_deleted") == (False,)


def test_sweep_runs_once_a_day_of_the_pipelines_clock(sandbox: Sandbox, lake: Lake) -> None:
    def requests(as_of: datetime) -> int:
        sandbox.requests.clear()
        pulled(hubspot.SOURCE, lake, "companies", as_of=as_of)
        return sandbox.requests.count("hubspot")

    requests(NOW)
    quiet = requests(NOW)
    assert requests(NOW + timedelta(hours=23)) == quiet
    assert requests(NOW + timedelta(hours=24)) > quiet
    assert requests(NOW + timedelta(hours=25)) == quiet


def test_key_list_that_was_cut_short_buries_nobody(
    sandbox: Sandbox, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled(hubspot.SOURCE, lake, "contacts")
    # The list ends after its first page, which is empty: everybody is missing from it and alive all the same.
    sandbox.fault("hubspot", "drop_field", field="paging", path="archived=false", times=None)
    monkeypatch.setattr(hubspot, "LIST_PAGE", 10)
    result = pulled(hubspot.SOURCE, lake, "contacts", sweep=AT_ONCE)
    assert result.deleted == 0
    assert query(lake, "hubspot/contacts", "SELECT count(*) FROM raw WHERE _is_deleted AND NOT archived") == [(0,)]


def test_vendor_that_suddenly_shows_nobody_is_not_believed(
    sandbox: Sandbox, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled(hubspot.SOURCE, lake, "contacts")
    before = lake.fingerprint("raw/hubspot/contacts")
    monkeypatch.setattr("connectors.sweep.BELIEVABLE_ROWS", 5)
    sandbox.execute("DELETE FROM hubspot_contacts")
    with pytest.raises(PullFailed, match="not believed") as caught:
        pulled(hubspot.SOURCE, lake, "contacts", sweep=AT_ONCE)
    assert isinstance(caught.value.errors["contacts"], MalformedAnswer)
    assert lake.fingerprint("raw/hubspot/contacts") == before


# ── the ways of reading agree ──


@pytest.mark.parametrize("name", ["customers", "abandoned_checkouts"])
def test_shopifys_cursor_and_bulk_ways_give_the_same_rows(
    name: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled(shopify.SOURCE, lake, name)
    # A few lines a page: large baskets are read on.
    monkeypatch.setattr(shopify, "NESTED_PAGE", 6)
    assert _landed_by_cursor(name, lake, NOW - timedelta(days=500)) == (0, True)


def test_shopifys_orders_read_by_cursor_equal_the_bulk_ones(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    pulled(shopify.SOURCE, lake, "orders")
    monkeypatch.setattr(shopify, "NESTED_PAGE", 10)
    assert _landed_by_cursor("orders", lake, NOW - timedelta(days=3)) == (0, True)


def _landed_by_cursor(name: str, lake: Lake, since: datetime) -> tuple[int, bool]:
    """(rows that differ from the landed ones, whether there were any rows at all)"""
    stream = shopify.SOURCE.stream(name)
    config = shopify.ShopifyConfig.load()
    assert config
    vendor = shopify.Shopify(config)
    with pytest.MonkeyPatch.context() as patch, Landing("shopify", stream, lake) as landing:
        patch.setattr(shopify.Shopify, "is_large", lambda *_: False)
        for page in vendor.read(stream, Bookmark(NOW, since)):
            landing.add(page)
        landed = landing.land()
    assert landed.rejected == 0
    return landed.rows, landed.seen > 0


@pytest.mark.parametrize("is_crowded", [False, True])
def test_hubspots_search_goes_on_past_its_end(
    is_crowded: bool, sandbox: Sandbox, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = hubspot.SOURCE.stream("contacts")
    monkeypatch.setattr(hubspot, "SEARCH_PAGE", 10)
    monkeypatch.setattr(hubspot, "SEARCH_END", 30)
    monkeypatch.setattr(hubspot, "SEARCHES_PER_SECOND", 1000.0)
    if is_crowded:
        # An import: more contacts than one search shows have the same time of change.
        sandbox.execute("UPDATE hubspot_contacts SET updated_at = '2026-10-10' WHERE id % 3 > 0")
    config = hubspot.HubspotConfig.load()
    assert config
    with Landing("hubspot", stream, lake) as landing:
        for page in hubspot.Hubspot(config).read(stream, Bookmark(NOW, datetime(2020, 1, 1, tzinfo=UTC))):
            landing.add(page)
        landed = landing.land()
    expected = sandbox.execute("SELECT count(*) FROM hubspot_contacts WHERE NOT archived")[0][0]
    assert (landed.rows, landed.rejected) == (expected, 0)


def test_hubspots_search_and_list_give_the_same_rows(lake: Lake) -> None:
    pulled(hubspot.SOURCE, lake, "contacts", "deals")
    config = hubspot.HubspotConfig.load()
    assert config
    for name in ("contacts", "deals"):
        stream = hubspot.SOURCE.stream(name)
        with Landing("hubspot", stream, lake) as landing:
            for page in hubspot.Hubspot(config).read(stream, Bookmark(NOW, datetime(2020, 1, 1, tzinfo=UTC))):
                landing.add(page)
            landed = landing.land()
        assert landed.seen > 0
        assert landed.rows == 0


def test_shopifys_way_is_chosen_by_how_much_changed(
    sandbox: Sandbox, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ways() -> set[str]:
        sandbox.requests.clear()
        pulled(shopify.SOURCE, lake, "customers")
        bodies = [request["body"] for request in sandbox.requests.last("shopify")]
        return {
            way for way, mark in (("bulk", "bulkOperationRunQuery"), ("cursor", "$after")) if mark in "".join(bodies)
        }

    assert ways() == {"bulk"}
    assert ways() == {"cursor"}
    sandbox.execute("UPDATE shopify_customers SET updated_at = '2026-10-18 14:30:00'")
    assert ways() == {"bulk"}


def test_shopify_version_out_of_support_is_noticed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shopify.Shopify, "is_large", lambda *_: False)
    monkeypatch.setattr(shopify, "VERSION", "2025-10")
    with pytest.raises(PullFailed, match="serves API version 2026-01 instead of 2025-10"):
        pulled(shopify.SOURCE, lake, "customers")


def test_page_that_costs_too_much_is_halved(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shopify.Shopify, "is_large", lambda *_: False)
    monkeypatch.setattr(shopify, "PAGE", {"abandoned_checkouts": 250})
    monkeypatch.setattr(shopify, "NESTED_PAGE", 250)
    assert pulled(shopify.SOURCE, lake, "abandoned_checkouts").rows > 0


# ── GA4's days ──


@pytest.fixture
def few_days(sandbox: Sandbox) -> None:
    sandbox.execute("DELETE FROM ga4_events WHERE table_date < '20261008'")


@pytest.mark.usefixtures("few_days")
def test_late_events_replace_their_day_and_older_days_are_closed(sandbox: Sandbox, lake: Lake) -> None:
    first = pulled(ga4.SOURCE, lake, "events")
    assert len(first.commits) == len(lake.files("raw/ga4/events")) == 11
    assert pulled(ga4.SOURCE, lake, "events").commits == []
    for day in ("20261016", "20261010"):
        sandbox.execute(
            "INSERT INTO ga4_events SELECT * REPLACE (event_timestamp + 1 AS event_timestamp) FROM ga4_events "
            "WHERE table_date = ? LIMIT 1",
            [day],
        )
    second = pulled(ga4.SOURCE, lake, "events")
    assert second.commits == ["20261016.parquet"]
    [(count,)] = sandbox.execute("SELECT count(*) FROM ga4_events WHERE table_date = '20261016'")
    assert query(lake, "ga4/events", "SELECT count(*) FROM raw WHERE _table = '20261016'") == [(count,)]
    assert pulled(ga4.SOURCE, lake, "events").commits == []


@pytest.mark.usefixtures("few_days")
def test_intraday_stands_in_until_the_day_is_complete(sandbox: Sandbox, lake: Lake) -> None:
    sandbox.execute("UPDATE ga4_events SET is_intraday = true WHERE table_date = '20261018'")
    pulled(ga4.SOURCE, lake, "events")
    names = {file.rsplit("/", 1)[1] for file in lake.files("raw/ga4/events")}
    assert "intraday_20261018.parquet" in names
    assert "20261018.parquet" not in names
    sandbox.execute("UPDATE ga4_events SET is_intraday = false WHERE table_date = '20261018'")
    pulled(ga4.SOURCE, lake, "events")
    names = {file.rsplit("/", 1)[1] for file in lake.files("raw/ga4/events")}
    assert "20261018.parquet" in names
    assert "intraday_20261018.parquet" not in names


@pytest.mark.usefixtures("few_days")
def test_day_that_was_missing_is_read_when_it_appears(sandbox: Sandbox, lake: Lake) -> None:
    sandbox.execute("CREATE TABLE kept AS SELECT * FROM ga4_events WHERE table_date = '20261009'")
    sandbox.execute("DELETE FROM ga4_events WHERE table_date = '20261009'")
    pulled(ga4.SOURCE, lake, "events")
    sandbox.execute("INSERT INTO ga4_events SELECT * FROM kept")
    assert pulled(ga4.SOURCE, lake, "events").commits == ["20261009.parquet"]
