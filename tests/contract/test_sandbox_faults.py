"""Faults on request, the request log and the control API: the same for every vendor."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
import requests

from connectors.sandbox.server import VENDORS, Sandbox, environment
from connectors.sandbox.state import State, copy_prepared
from tests.vendor_clients import BigQueryApi, HubspotApi, ShopifyApi

CONTACTS = "/crm/objects/2026-09/contacts"
CUSTOMERS = "query($after:String){customers(first:30,after:$after){nodes{id tags} pageInfo{hasNextPage endCursor}}}"


@pytest.fixture
def hubspot(sandbox):
    return HubspotApi(sandbox.environment())


@pytest.fixture
def shopify(sandbox):
    return ShopifyApi(sandbox.environment())


def test_429_comes_with_and_without_retry_after_then_goes(sandbox, hubspot):
    sandbox.fault("hubspot", "429", path=CONTACTS)
    sandbox.fault("hubspot", "429_retry_after", path=CONTACTS, seconds=7)
    first, second, third = (hubspot("GET", CONTACTS) for _ in range(3))
    assert (first.status_code, "Retry-After" in first.headers) == (429, False)
    assert first.json()["policyName"] == "TEN_SECONDLY_ROLLING"
    assert (second.status_code, second.headers["Retry-After"]) == (429, "7")
    assert third.status_code == 200


def test_shopify_throttles_inside_a_200(sandbox, shopify):
    sandbox.fault("shopify", "throttled", path="graphql")
    answer = shopify.post("{shop{name}}")
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["extensions"]["code"] == "THROTTLED"


def test_bigquery_says_rate_limit_with_a_403(sandbox):
    api = BigQueryApi(sandbox.environment())
    sandbox.fault("ga4", "429", path="/tables")
    answer = api("GET", api.tables)
    assert (answer.status_code, answer.json()["error"]["errors"][0]["reason"]) == (403, "rateLimitExceeded")


@pytest.mark.parametrize(("kind", "created"), [("500_before", 0), ("500_after_commit", 1)])
def test_500_comes_before_or_after_the_commit(sandbox, hubspot, kind, created):
    sandbox.fault("hubspot", kind, method="POST", path="/contacts")
    answer = hubspot("POST", CONTACTS, {"properties": {"email": "twice@example.jp"}})
    assert answer.status_code == 500
    count = sandbox.execute("select count(*) from hubspot_contacts where email = 'twice@example.jp'")[0][0]
    assert count == created


def test_dropped_after_commit_leaves_the_client_without_an_answer(sandbox, hubspot):
    sandbox.fault("hubspot", "dropped_after_commit", method="POST", path="/contacts")
    with pytest.raises(requests.ConnectionError):
        hubspot("POST", CONTACTS, {"properties": {"email": "silent@example.jp"}})
    assert sandbox.execute("select count(*) from hubspot_contacts where email = 'silent@example.jp'") == [(1,)]


def test_timeout_is_silent_for_as_long_as_asked(sandbox, hubspot):
    sandbox.fault("hubspot", "timeout", seconds=0.3)
    started = time.monotonic()
    with pytest.raises(requests.ConnectionError):
        hubspot("GET", CONTACTS)
    assert time.monotonic() - started >= 0.3
    assert hubspot("GET", CONTACTS).ok


def test_down_lasts_until_it_is_taken_back(sandbox, hubspot, shopify):
    sandbox.fault("hubspot", "down")
    for _ in range(3):
        with pytest.raises(requests.ConnectionError):
            hubspot("GET", CONTACTS)
    assert shopify.post("{shop{name}}").ok
    assert requests.delete(f"{sandbox.url}/_sandbox/faults", timeout=5).json() == []
    assert hubspot("GET", CONTACTS).ok


def test_an_expired_token_is_of_no_use_until_the_next_login(sandbox, shopify):
    sandbox.fault("shopify", "expired_token", path="graphql")
    assert [shopify.post("{shop{name}}").status_code for _ in range(2)] == [401, 401]
    assert ShopifyApi(sandbox.environment()).post("{shop{name}}").status_code == 200


def test_duplicate_page_repeats_the_page_before(sandbox, shopify):
    sandbox.fault("shopify", "duplicate_page", path="graphql", after=1)
    pages = shopify.pages(CUSTOMERS, "customers")
    assert pages[0] == pages[1]
    assert len({row["id"] for page in pages for row in page}) == sum(map(len, pages)) - 30


def test_malformed_json_is_cut_in_the_middle(sandbox, hubspot):
    sandbox.fault("hubspot", "malformed_json")
    with pytest.raises(requests.JSONDecodeError):
        hubspot("GET", CONTACTS).json()


def test_empty_page_keeps_its_cursor(sandbox, hubspot):
    sandbox.fault("hubspot", "empty_page", path=CONTACTS)
    answer = hubspot("GET", CONTACTS).json()
    assert answer["results"] == []
    assert answer["paging"]["next"]["after"]


def test_fields_are_dropped_and_retyped_wherever_they_stand(sandbox, hubspot):
    sandbox.fault("hubspot", "drop_field", field="updatedAt")
    sandbox.fault("hubspot", "retype_field", field="properties.email", value=17, limit=1)
    dropped, retyped = hubspot("GET", CONTACTS).json(), hubspot("GET", CONTACTS).json()
    assert not any("updatedAt" in row for row in dropped["results"])
    assert [row["properties"]["email"] for row in retyped["results"]].count(17) == 1


@pytest.mark.slow
def test_fields_are_retyped_inside_bulk_files_and_json_text(sandbox, shopify):
    sandbox.fault("shopify", "retype_field", path="bulk-results", field="amount", value=None)
    lines, _, _ = ShopifyBulk(shopify).lines("{orders{nodes{id totalPriceSet{shopMoney{amount}}}}}")
    assert lines
    assert all(line["totalPriceSet"]["shopMoney"]["amount"] is None for line in lines)
    api = BigQueryApi(sandbox.environment())
    sandbox.fault("bigquery", "drop_field", path="/queries", field="event_name")
    sql = "SELECT TO_JSON_STRING(t) FROM `kizuna-shop.analytics_123456789.events_20261017` t"
    row = api.query(sql).json()["rows"][0]
    assert "event_name" not in json.loads(row["f"][0]["v"])


class ShopifyBulk:
    """A bulk operation whose file may not have the promised size."""

    def __init__(self, api):
        self.api = api

    def lines(self, query):
        started = self.api.start_bulk(query)["bulkOperation"]["id"]
        operation = self.api.poll(started)
        while operation["status"] != "COMPLETED":
            time.sleep(0.02)
            operation = self.api.poll(started)
        answer = requests.get(operation["url"], timeout=10)
        return [json.loads(line) for line in answer.text.splitlines()], answer, operation


def test_a_fault_that_finds_nothing_to_spoil_waits(sandbox, hubspot):
    sandbox.fault("hubspot", "drop_field", field="amount")
    assert hubspot("GET", CONTACTS).ok
    deals = hubspot("GET", "/crm/objects/2026-09/deals", properties="amount").json()["results"]
    assert not any("amount" in deal["properties"] for deal in deals)


def test_partial_success_as_each_vendor_has_it(sandbox, hubspot, shopify):
    sandbox.fault("shopify", "partial", path="graphql")
    half = shopify.post("{shop{name}}").json()
    assert half["data"] == {"shop": None}
    assert half["errors"]
    ids = [{"id": row["id"]} for row in hubspot("GET", CONTACTS).json()["results"]]
    sandbox.fault("hubspot", "partial", path="batch/read")
    answer = hubspot("POST", f"{CONTACTS}/batch/read", {"inputs": ids, "properties": []})
    assert (answer.status_code, answer.json()["numErrors"]) == (207, 1)
    assert len(answer.json()["results"]) == len(ids) - 1
    sandbox.fault("bigquery", "partial", path="/queries")
    api = BigQueryApi(sandbox.environment())
    waiting = api.query("SELECT 1 AS one").json()
    assert waiting["jobComplete"] is False
    assert "rows" not in waiting
    done = api("GET", f"/queries/{waiting['jobReference']['jobId']}").json()
    assert done["rows"] == [{"f": [{"v": "1"}]}]


def test_faults_pass_the_first_requests_and_fire_as_often_as_asked(sandbox, hubspot):
    body = {"vendor": "hubspot", "kind": "500_before", "path": "contacts", "after": 2, "times": 2}
    assert requests.post(f"{sandbox.url}/_sandbox/faults", json=body, timeout=5).ok
    assert [hubspot("GET", CONTACTS).status_code for _ in range(6)] == [200, 200, 500, 500, 200, 200]


def test_a_fault_may_ask_for_a_body(sandbox, shopify):
    sandbox.fault("shopify", "500_before", body="orders")
    assert shopify.post("{shop{name}}").ok
    assert shopify.post("{orders(first:1){nodes{id}}}").status_code == 500


@pytest.mark.parametrize("wrong", [{"vendor": "hubspot"}, {"vendor": "hubspot", "kind": "flood"}, {"kind": "down"}])
def test_a_fault_that_cannot_be_is_refused(sandbox, wrong):
    assert requests.post(f"{sandbox.url}/_sandbox/faults", json=wrong, timeout=5).status_code == 400


def test_requests_are_counted_and_kept_without_credentials(sandbox, hubspot, shopify):
    hubspot("GET", CONTACTS, limit=1)
    hubspot("GET", f"{CONTACTS}/1")
    shopify.post("{shop{name}}")
    counts = requests.get(f"{sandbox.url}/_sandbox/requests", timeout=5).json()
    by_status = {(c["vendor"], c["status"]): c["count"] for c in counts if "oauth" not in c["path"]}
    assert by_status == {("hubspot", 200): 1, ("hubspot", 404): 1, ("shopify", 200): 1}
    kept = sandbox.requests.last("hubspot")
    assert kept[0]["query"] == {"limit": ["1"]}
    variables = sandbox.environment()
    for secret in (variables["HUBSPOT_ACCESS_TOKEN"], shopify.token, variables["SHOPIFY_CLIENT_SECRET"]):
        assert secret not in json.dumps(sandbox.requests.last())


def test_the_state_outlives_the_server_and_reads_the_same(world, prepared_state, tmp_path):
    copy_prepared(prepared_state, tmp_path / "state")
    with Sandbox(world, tmp_path / "state") as first:
        HubspotApi(first.environment())("POST", CONTACTS, {"properties": {"email": "kept@example.jp"}})
        clock, before = first.state.now(), requests.get(f"{first.url}/_sandbox/state.json", timeout=5).text
    with Sandbox(world, tmp_path / "state") as second:
        assert second.state.now() == clock
        assert requests.get(f"{second.url}/_sandbox/state.json", timeout=5).text == before
        assert set(json.loads(before)) == set(VENDORS)


def test_a_second_sandbox_on_the_same_state_is_told_so(sandbox, world):
    script = (
        "import sys; from connectors.sandbox.state import State; from connectors.sandbox.world import World;"
        "State(World.small(), sys.argv[1])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(sandbox.state.directory)], capture_output=True, text=True, check=False
    )
    assert "another sandbox runs on it" in ran.stderr


def test_a_state_of_another_world_is_refused(prepared_state, tmp_path, world):
    copy_prepared(prepared_state, tmp_path / "state")

    class OtherWorld:
        def path(self, table):
            return tmp_path / "other" / f"{table}.parquet"

    with pytest.raises(RuntimeError, match="delete it first"):
        State(OtherWorld(), tmp_path / "state")


def test_sql_changes_the_world_behind_the_vendors(sandbox, hubspot):
    body = {"sql": "update hubspot_contacts set archived = true where not archived"}
    assert requests.post(f"{sandbox.url}/_sandbox/sql", json=body, timeout=5).ok
    assert hubspot("GET", CONTACTS).json()["results"] == []


def test_search_may_lag_behind_writes_but_reading_by_id_does_not(sandbox, hubspot, shopify):
    sandbox.lag("hubspot", 60)
    sandbox.lag("shopify", 60)
    new = hubspot("POST", CONTACTS, {"properties": {"email": "fresh@example.jp"}}).json()["id"]
    fresh = [{"filters": [{"propertyName": "email", "operator": "EQ", "value": "fresh@example.jp"}]}]
    body = {"filterGroups": fresh, "sorts": [], "properties": [], "limit": 5, "after": "0"}
    assert hubspot("GET", f"{CONTACTS}/{new}").ok
    assert hubspot("POST", f"{CONTACTS}/search", body).json()["total"] == 0
    customer = shopify.data("{customers(first:1){nodes{id}}}")["customers"]["nodes"][0]["id"]
    shopify.data('mutation($id:ID!){tagsAdd(id:$id,tags:["x"]){node{id}}}', id=customer)
    found = '{customers(first:250,query:"tag:x"){nodes{id}}}'
    assert shopify.data(found)["customers"]["nodes"] == []
    sandbox.state.tick(120)
    assert hubspot("POST", f"{CONTACTS}/search", body).json()["total"] == 1
    assert shopify.data(found)["customers"]["nodes"] == [{"id": customer}]


@pytest.mark.slow
def test_the_command_opens_the_small_shop_tells_where_and_ends_when_asked(tmp_path):
    command = [sys.executable, "-m", "connectors.sandbox", "--small", "--port", "0", "--state", str(tmp_path)]
    # Some shells ignore SIGTERM and hand that on: the sandbox then outlived who had started it, and was waited for.
    ignore = partial(signal.signal, signal.SIGTERM, signal.SIG_IGN)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=ignore) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().removeprefix("sandbox ready at ").strip()
            variables = requests.get(f"{url}/_sandbox/environment", timeout=10).json()
            assert HubspotApi(variables)("GET", CONTACTS).ok
            assert BigQueryApi(variables)("GET", "/datasets").ok
            assert requests.get(f"{url}/_sandbox/health", timeout=10).json()["vendors"] == list(VENDORS)
            process.terminate()
            assert process.wait(timeout=10) == -signal.SIGTERM
        finally:
            process.kill()


def test_the_command_prints_the_variables(tmp_path):
    command = [sys.executable, "-m", "connectors.sandbox", "--print-env", "--state", str(tmp_path), "--port", "9999"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "export HUBSPOT_BASE_URL=http://127.0.0.1:9999/hubspot\n" in printed
    assert {line.split("=")[0].removeprefix("export ") for line in printed.splitlines()} == set(
        environment("", tmp_path)
    )
