"""The sandbox's HubSpot against the vendor's specification, the vendor's own client, and counts from the world."""

from __future__ import annotations

import time

import hubspot
import pytest
from hubspot.crm.contacts import (
    BatchReadInputSimplePublicObjectId,
    PublicObjectSearchRequest,
    SimplePublicObjectInput,
    SimplePublicObjectInputForCreate,
)
from hubspot.crm.contacts.exceptions import ApiException

from connectors.sandbox.hubspot_limits import Limits
from connectors.sandbox.hubspot_objects import TYPES
from connectors.sandbox.server import Sandbox
from connectors.sandbox.state import copy_prepared
from tests.openapi import Document
from tests.vendor_clients import HubspotApi

BASES = ("/crm/objects/2026-09", "/crm/v3/objects")


@pytest.fixture
def api(standing_sandbox):
    """A client of the shop that nobody changes."""
    return HubspotApi(standing_sandbox.environment())


@pytest.fixture
def own_api(sandbox):
    """A client of a shop of the test's own, to write to."""
    return HubspotApi(sandbox.environment())


@pytest.fixture(scope="session")
def document(shared):
    return Document.openapi(shared / "vendor-specs/hubspot/crm-read-v3.from-sdk.openapi.json")


def everything(api, path, **params):
    rows, after = [], None
    while True:
        answer = api("GET", path, limit=100, **params, **({"after": after} if after else {})).json()
        rows += answer["results"]
        after = answer.get("paging", {}).get("next", {}).get("after")
        if after is None:
            return rows


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("archived", [False, True])
def test_listing_shows_every_object_once(standing_sandbox, api, base, kind, archived):
    rows = everything(api, f"{base}/{kind}", archived=str(archived).lower())
    counted = standing_sandbox.execute(f"select count(*) from {TYPES[kind].table} where archived = ?", [archived])[0][0]
    assert len(rows) == len({row["id"] for row in rows}) == counted
    assert all(row["archived"] is archived and ("archivedAt" in row) is archived for row in rows)


def test_values_are_strings_and_unknown_properties_are_left_out(api):
    rows = everything(api, "/crm/objects/2026-09/contacts", properties="email,hs_email_optout,favourite_colour,phone")
    values = [value for row in rows for value in row["properties"].values()]
    assert {type(value) for value in values} == {str, type(None)}
    assert {row["properties"]["hs_email_optout"] for row in rows} == {"true", "false"}
    assert not any("favourite_colour" in row["properties"] for row in rows)
    assert all(row["properties"]["lastmodifieddate"] == row["updatedAt"] for row in rows)


def test_associations_are_shown_where_they_are_asked_for(standing_sandbox, api):
    rows = everything(api, "/crm/objects/2026-09/deals", associations="contacts")
    shown = {
        (row["id"], link["id"])
        for row in rows
        for link in row["associations"].get("contacts", {"results": []})["results"]
    }
    linked = standing_sandbox.execute(
        "select id::varchar, contact_id::varchar from hubspot_deals where contact_id is not null and not archived"
    )
    assert shown == set(linked) != set()
    for path in (
        "/crm/associations/2026-09/deals/contacts/batch/read",
        "/crm/v4/associations/deals/contacts/batch/read",
    ):
        answer = api("POST", path, {"inputs": [{"id": row["id"]} for row in rows]})
        assert answer.status_code in {200, 207}
        found = {(r["from"]["id"], t["toObjectId"]) for r in answer.json()["results"] for t in r["to"]}
        assert found == shown


def search(api, filters, kind="contacts", **more):
    body = {"filterGroups": [{"filters": filters}], "sorts": [], "properties": ["email"], "limit": 200, "after": "0"}
    return api("POST", f"/crm/objects/2026-09/{kind}/search", body | more)


@pytest.mark.parametrize(
    ("given", "condition"),
    [
        (
            {"operator": "GTE", "propertyName": "lastmodifieddate", "value": "1780272000000"},
            "updated_at >= '2026-06-01'",
        ),
        ({"operator": "LT", "propertyName": "lastmodifieddate", "value": "2026-06-01"}, "updated_at < '2026-06-01'"),
        ({"operator": "EQ", "propertyName": "hs_email_optout", "value": "true"}, "hs_email_optout"),
        ({"operator": "HAS_PROPERTY", "propertyName": "phone"}, "phone is not null"),
        ({"operator": "NOT_HAS_PROPERTY", "propertyName": "phone"}, "phone is null"),
        ({"operator": "IN", "propertyName": "lifecyclestage", "values": ["lead"]}, "lifecyclestage = 'lead'"),
        ({"operator": "CONTAINS_TOKEN", "propertyName": "email", "value": "gmail"}, "email ilike '%gmail%'"),
        ({"operator": "BETWEEN", "propertyName": "hs_object_id", "value": "0", "highValue": "310100"}, "id <= 310100"),
    ],
)
def test_search_operators_mean_what_they_say(standing_sandbox, api, given, condition):
    answer = search(api, [given]).json()
    counted = standing_sandbox.execute(f"select count(*) from hubspot_contacts where not archived and ({condition})")[
        0
    ][0]
    assert answer["total"] == counted
    assert len(answer["results"]) == min(200, counted)


@pytest.mark.parametrize("sort", ["-lastmodifieddate", {"propertyName": "lastmodifieddate", "direction": "DESCENDING"}])
def test_search_pages_in_the_asked_order(api, sort):
    seen, after = [], "0"
    while after:
        answer = search(api, [], sorts=[sort], limit=50, after=after).json()
        seen += [row["updatedAt"] for row in answer["results"]]
        after = answer.get("paging", {}).get("next", {}).get("after")
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == answer["total"]


def test_search_ends_at_ten_thousand_rows(api):
    assert search(api, [], after="9800").status_code == 200
    refused = search(api, [], after="9801")
    assert (refused.status_code, refused.json()["category"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("method", "path", "body", "params", "status", "category"),
    [
        ("GET", "/crm/v3/objects/contacts", None, {"limit": 101}, 400, "VALIDATION_ERROR"),
        ("GET", "/crm/v3/objects/contacts/1", None, {}, 404, "OBJECT_NOT_FOUND"),
        ("GET", "/crm/v3/objects/unicorns", None, {}, 400, "VALIDATION_ERROR"),
        ("POST", "/crm/v3/objects/contacts/search", {"limit": 201}, {}, 400, "VALIDATION_ERROR"),
        ("POST", "/crm/v3/objects/contacts/batch/read", {"inputs": [{"id": "1"}] * 101}, {}, 400, "VALIDATION_ERROR"),
        ("POST", "/crm/v3/objects/contacts/batch/read", {}, {}, 400, "VALIDATION_ERROR"),
        ("POST", "/crm/v3/objects/contacts", {"properties": {"nonsense": "1"}}, {}, 400, "VALIDATION_ERROR"),
    ],
)
def test_wrong_requests_get_the_vendors_envelope(api, document, method, path, body, params, status, category):
    answer = api(method, path, body, **params)
    assert answer.status_code == status
    assert answer.json()["category"] == category
    error = {name: value for name, value in answer.json().items() if name != "status"}
    document.check("Error", error)


def test_a_wrong_token_is_a_401(api):
    api.token = "pat-invented"
    assert api("GET", "/crm/v3/objects/contacts").json()["category"] == "INVALID_AUTHENTICATION"


def test_answers_fit_the_vendors_specification(standing_sandbox, api, document):
    contact, gone = (
        standing_sandbox.execute(
            f"select id::varchar from hubspot_contacts where {'' if a else 'not '}archived limit 1"
        )[0][0]
        for a in (False, True)
    )
    address = standing_sandbox.execute("select email from hubspot_consents limit 1")[0][0]
    search_body = {"filterGroups": [], "sorts": [], "properties": [], "limit": 5, "after": "0"}
    for method, path, body, params in [
        ("GET", "/crm/v3/objects/contacts", None, {"limit": 100, "associations": "companies"}),
        ("GET", "/crm/v3/objects/contacts", None, {"archived": "true"}),
        ("GET", "/crm/v3/objects/companies", None, {}),
        ("GET", "/crm/v3/objects/deals", None, {"associations": "contacts,companies"}),
        ("GET", f"/crm/v3/objects/contacts/{contact}", None, {}),
        ("POST", "/crm/v3/objects/contacts/batch/read", {"inputs": [{"id": contact}], "properties": ["email"]}, {}),
        ("POST", "/crm/v3/objects/contacts/batch/read", {"inputs": [{"id": contact}, {"id": gone}]}, {}),
        ("POST", "/crm/v3/objects/contacts/search", search_body, {}),
        ("POST", "/crm/v3/objects/deals/search", search_body, {}),
        ("POST", "/crm/v4/associations/deals/contacts/batch/read", {"inputs": [{"id": "910001"}]}, {}),
        ("GET", "/communication-preferences/v3/definitions", None, {}),
        ("GET", f"/communication-preferences/v3/status/email/{address}", None, {}),
    ]:
        answer = api(method, path, body, **params)
        assert answer.status_code in {200, 207}, answer.text
        document.check_answer(method, path, answer.status_code, answer.json())


def test_limits_are_told_in_headers_but_not_on_search(api):
    listed = api("GET", "/crm/v3/objects/contacts")
    assert int(listed.headers["X-HubSpot-RateLimit-Remaining"]) < int(listed.headers["X-HubSpot-RateLimit-Max"])
    assert "X-HubSpot-RateLimit-Max" not in search(api, []).headers


def test_too_many_requests_name_the_policy(world, prepared_state, tmp_path):
    copy_prepared(prepared_state, tmp_path / "slow")
    with Sandbox(world, tmp_path / "slow", pace=0.01) as slow:
        api = HubspotApi(slow.environment())
        searched = [search(api, []) for _ in range(6)]
        assert [answer.status_code for answer in searched] == [200] * 5 + [429]
        assert searched[-1].json()["policyName"] == "SECONDLY"
        assert searched[-1].json()["errorType"] == "RATE_LIMIT"


def test_ten_seconds_hold_190_requests_and_are_forgotten():
    limits = Limits(pace=50.0)
    admitted = [limits.admit(is_search=False) for _ in range(191)]
    assert admitted == [None] * 190 + ["TEN_SECONDLY_ROLLING"]
    assert limits.headers()["X-HubSpot-RateLimit-Remaining"] == "0"
    time.sleep(0.25)
    assert limits.admit(is_search=False) is None


def test_consents_are_read_by_address_and_unsubscribing_shows(sandbox, own_api):
    address, subscription = sandbox.execute(
        "select email, subscription_id::varchar from hubspot_consents where status = 'SUBSCRIBED' limit 1"
    )[0]
    path = "/communication-preferences/2026-09/statuses"
    asked = {"inputs": [address, "nobody@example.com"]}
    known, unknown = own_api("POST", f"{path}/batch/read", asked, channel="EMAIL").json()["results"]
    assert unknown == {"subscriberIdString": "nobody@example.com", "statuses": []}
    before = {status["subscriptionId"]: status["status"] for status in known["statuses"]}
    assert before[subscription] == "SUBSCRIBED"
    change = {"subscriptionId": subscription, "statusState": "UNSUBSCRIBED", "channel": "EMAIL"}
    assert own_api("POST", f"{path}/{address}", change).ok
    after = own_api("GET", f"{path}/{address.upper()}", channel="EMAIL").json()["results"]
    assert {status["subscriptionId"]: status["status"] for status in after} == before | {subscription: "UNSUBSCRIBED"}
    assert own_api("POST", f"{path}/batch/read", asked).status_code == 400


def test_the_vendors_own_client_lists_pages_writes_and_reads_back(sandbox):
    variables = sandbox.environment()
    client = hubspot.Client.create(access_token=variables["HUBSPOT_ACCESS_TOKEN"], host=variables["HUBSPOT_BASE_URL"])
    contacts = client.crm.contacts
    everyone = contacts.get_all(properties=["email"])
    counted = sandbox.execute("select count(*) from hubspot_contacts where not archived")[0][0]
    assert len({contact.id for contact in everyone}) == counted
    created = contacts.basic_api.create(
        SimplePublicObjectInputForCreate(properties={"email": "new@example.jp", "lastname": "新規"}, associations=[])
    )
    read = contacts.basic_api.get_by_id(created.id, properties=["email", "lastname"])
    assert (read.properties["email"], read.properties["lastname"]) == ("new@example.jp", "新規")
    contacts.basic_api.update(created.id, SimplePublicObjectInput(properties={"firstname": "花子"}))
    found = contacts.search_api.do_search(
        PublicObjectSearchRequest(
            filter_groups=[{"filters": [{"propertyName": "email", "operator": "EQ", "value": "new@example.jp"}]}],
            sorts=[],
            properties=["firstname"],
            limit=10,
            after="0",
        )
    )
    assert [(row.id, row.properties["firstname"]) for row in found.results] == [(created.id, "花子")]
    batch = contacts.batch_api.read(
        BatchReadInputSimplePublicObjectId(
            inputs=[{"id": created.id}], properties=["email"], properties_with_history=[]
        )
    )
    assert [row.id for row in batch.results] == [created.id]
    with pytest.raises(ApiException) as conflict:
        contacts.basic_api.create(
            SimplePublicObjectInputForCreate(properties={"email": "NEW@example.jp"}, associations=[])
        )
    assert conflict.value.status == 409
    contacts.basic_api.archive(created.id)
    assert created.id in {contact.id for contact in contacts.get_all(archived=True)}
    status = client.communication_preferences.status_api.get_email_status(email_address="new@example.jp")
    assert status.subscription_statuses == []


def test_upserting_by_address_updates_or_creates(own_api):
    body = {
        "inputs": [
            {"id": "a@example.jp", "idProperty": "email", "properties": {"lastname": "一"}},
            {"id": "b@example.jp", "idProperty": "email", "properties": {"lastname": "二"}},
        ]
    }
    first = own_api("POST", "/crm/v3/objects/contacts/batch/upsert", body).json()["results"]
    again = own_api("POST", "/crm/v3/objects/contacts/batch/upsert", body).json()["results"]
    assert [row["new"] for row in first] == [True, True]
    assert [row["new"] for row in again] == [False, False]
    assert [row["id"] for row in first] == [row["id"] for row in again]
