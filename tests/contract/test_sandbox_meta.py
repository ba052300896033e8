"""The sandbox's Meta against the vendor's tables and the vendor's own client."""

from __future__ import annotations

import hashlib
import json

import pytest
import requests
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.customaudience import CustomAudience
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

from tests.meta_spec import UPLOAD_ANSWER, MetaSpec
from tests.shop import empty, empty_sandbox

COUNTS = "approximate_count_lower_bound,approximate_count_upper_bound,operation_status"


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with empty_sandbox(tmp_path_factory.mktemp("meta")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    return empty(running)


class Api:
    """Plain HTTP to the sandbox."""

    def __init__(self, sandbox):
        variables = sandbox.environment()
        self.root = variables["META_BASE_URL"] + "/v26.0"
        self.account = variables["META_AD_ACCOUNT_ID"]
        self.headers = {"Authorization": f"Bearer {variables['META_ACCESS_TOKEN']}"}

    def __call__(self, method, path, body=None, **params):
        url = f"{self.root}/{path}"
        return requests.request(method, url, json=body, params=params, headers=self.headers, timeout=10)

    def create(self, name="vip"):
        body = {"name": name, "subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
        return self("POST", f"{self.account}/customaudiences", body).json()["id"]

    def upload(self, audience, rows, schema=("EXTERN_ID", "EMAIL"), method="POST", **session):
        body = {"payload": {"schema": list(schema), "data": rows}}
        if session:
            body["session"] = session
        return self(method, f"{audience}/users", body)

    def error(self, answer):
        assert answer.status_code == 400
        return answer.json()["error"]


@pytest.fixture
def api(sandbox):
    return Api(sandbox)


def rows(count, start=0):
    return [[sha256(f"c{n}"), sha256(f"p{n}@shop.example")] for n in range(start, start + count)]


def settle(api, audience):
    while (seen := api("GET", audience, fields=COUNTS).json())["operation_status"]["code"] != 200:
        pass
    return seen["approximate_count_lower_bound"], seen["approximate_count_upper_bound"]


def test_fields_and_answers_are_those_of_the_vendors_tables(api, shared):
    spec = MetaSpec(shared / "vendor-specs/meta")
    audience = api.create()
    everything = (
        "id,name,description,subtype,customer_file_source,account_id,retention_days,approximate_count_lower_bound,"
        "approximate_count_upper_bound,delivery_status,operation_status,time_created,time_updated,time_content_updated"
    )
    spec.check_node("CustomAudience", api("GET", audience, fields=everything).json())
    for found in api("GET", f"{api.account}/customaudiences", fields=everything).json()["data"]:
        spec.check_node("CustomAudience", found)
    answer = api.upload(audience, rows(3), session_id=7, batch_seq=1, last_batch_flag=True).json()
    assert set(answer) == UPLOAD_ANSWER
    for session in api("GET", f"{audience}/sessions", session_id=7).json()["data"]:
        spec.check_node("CustomAudienceSession", session)
        assert all(isinstance(value, str) for value in session.values())


def test_the_vendors_own_client_creates_lists_pages_uploads_and_deletes(sandbox, monkeypatch):
    variables = sandbox.environment()
    monkeypatch.setattr(FacebookSession, "GRAPH", variables["META_BASE_URL"])
    facebook = FacebookAdsApi(FacebookSession(access_token=variables["META_ACCESS_TOKEN"]), api_version="v26.0")
    account = AdAccount(variables["META_AD_ACCOUNT_ID"], api=facebook)
    params = {"subtype": "CUSTOM", "customer_file_source": "USER_PROVIDED_ONLY"}
    made = [account.create_custom_audience(params={"name": f"audience {n}", **params}) for n in range(7)]
    listed = list(account.get_custom_audiences(fields=["id", "name"], params={"limit": 3}))
    assert [found["name"] for found in listed] == [f"audience {n}" for n in range(7)]

    audience = CustomAudience(made[0]["id"], api=facebook)
    schema = [CustomAudience.Schema.MultiKeySchema.extern_id, CustomAudience.Schema.MultiKeySchema.email]
    people = [[sha256(f"c{n}"), sha256(f"p{n}@shop.example")] for n in range(120)]
    answer = audience.add_users(schema, people, is_raw=True, pre_hashed=True).json()
    assert (answer["num_received"], answer["num_invalid_entries"]) == (120, 0)
    for _ in range(3):
        read = audience.api_get(fields=COUNTS.split(","))
    assert read["approximate_count_lower_bound"] <= 120 <= read["approximate_count_upper_bound"]
    assert len(sandbox.members("meta", "audience 0")) == 120
    audience.remove_users(schema, people[:20], is_raw=True, pre_hashed=True)
    assert len(sandbox.members("meta", "audience 0")) == 100
    raw = CustomAudience(made[1]["id"], api=facebook)
    raw.add_users([CustomAudience.Schema.MultiKeySchema.email], [["Ada@Shop.example"]], is_raw=True)
    assert sandbox.members("meta", "audience 1") == [sha256("ada@shop.example")]
    single = CustomAudience(made[2]["id"], api=facebook)
    single.add_users(CustomAudience.Schema.email_hash, ["Ada@Shop.example"])
    assert sandbox.members("meta", "audience 2") == [sha256("ada@shop.example")]
    account.delete_users_of_any_audience(
        params={"payload": {"schema": ["EMAIL"], "data": [[sha256("ada@shop.example")]]}}
    )
    assert sandbox.members("meta", "audience 1") == sandbox.members("meta", "audience 2") == []
    with pytest.raises(FacebookRequestError) as error:
        CustomAudience("1", api=facebook).api_get()
    assert error.value.api_error_code() == 100


@pytest.mark.parametrize(("headers", "code"), [({}, 2500), ({"Authorization": "Bearer wrong"}, 190)])
def test_wrong_tokens_are_http_400_with_a_code(api, headers, code):
    answer = requests.get(f"{api.root}/me", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    token = api.headers["Authorization"].removeprefix("Bearer ")
    assert requests.get(f"{api.root}/me", params={"access_token": token}, timeout=10).ok


def test_throttling_is_http_400_with_a_code_and_usage_is_told(api, sandbox):
    usage = json.loads(api("GET", "me").headers["X-Business-Use-Case-Usage"])
    assert {"type", "call_count", "total_cputime", "total_time"} <= set(next(iter(usage.values()))[0])
    sandbox.fault("meta", "429")
    assert api.error(api("GET", "me"))["code"] == 80003
    sandbox.fault("meta", "expired_token")
    assert api.error(api("GET", "me"))["code"] == 190


def test_counts_lag_behind_and_are_rounded(api):
    audience = api.create()
    api.upload(audience, rows(137))
    first = api("GET", audience, fields=COUNTS).json()
    assert first["approximate_count_upper_bound"] == 0 and first["operation_status"]["code"] == 441
    assert settle(api, audience) == (130, 140)
    api.upload(audience, [row[:1] for row in rows(37)], schema=["EXTERN_ID"], method="DELETE")
    assert settle(api, audience) == (100, 100)


def test_a_session_progresses_and_may_not_be_replayed(api):
    audience = api.create()
    first = {"session_id": 42, "batch_seq": 1, "last_batch_flag": False}
    assert api.upload(audience, rows(5), **first).json()["session_id"] == "42"
    assert api.error(api.upload(audience, rows(5), **first))["code"] == 100
    assert api("GET", f"{audience}/sessions", session_id=42).json()["data"][0]["stage"] == "uploading"
    api.upload(audience, rows(5, 5), **{**first, "batch_seq": 2, "last_batch_flag": True})
    stages = [api("GET", f"{audience}/sessions", session_id=42).json()["data"][0]["stage"] for _ in range(3)]
    assert stages == ["preprocessing", "completed", "completed"]
    for wrong in (
        {"session_id": 0, "batch_seq": 1},
        {"session_id": 2**63, "batch_seq": 1},
        {"session_id": 43},
        {"session_id": 44, "batch_seq": 2},
    ):
        assert api.error(api.upload(audience, rows(1), **wrong))["code"] == 100


def test_malformed_rows_are_counted_inside_a_200_and_only_sampled(api, sandbox):
    audience = api.create()
    bad = [["x", "not a hash"], ["x", sha256("")], ["x"], ["", ""]] * 3
    answer = api.upload(audience, rows(4) + bad).json()
    assert (answer["num_received"], answer["num_invalid_entries"]) == (16, 12)
    assert len(answer["invalid_entry_samples"]) == 5
    assert len(sandbox.members("meta", "vip")) == 4


def test_an_audience_keeps_one_form_of_keys(api):
    audience = api.create()
    api.upload(audience, rows(1))
    body = {"payload": {"schema": "EMAIL_SHA256", "data": [sha256("a@shop.example")]}}
    assert api.error(api("POST", f"{audience}/users", body))["code"] == 2650


def test_uploads_are_limited_and_schemas_known(api):
    audience = api.create()
    assert api.error(api.upload(audience, rows(1) * 10_001))["code"] == 100
    assert api.upload(audience, rows(1) * 10_000).json()["num_received"] == 10_000
    assert api.error(api.upload(audience, [["a"]], schema=["NICKNAME"]))["code"] == 100
    assert api.error(api("POST", f"{audience}/users", {}))["code"] == 100


def test_same_person_twice_is_one_member_and_new_keys_replace_the_old(api, sandbox):
    audience = api.create()
    for email in ("old@shop.example", "new@shop.example"):
        api.upload(audience, [[sha256("c1"), sha256(email)]])
    assert sandbox.execute("select email from meta_users") == [(sha256("new@shop.example"),)]


def test_replace_all_leaves_only_the_new(api, sandbox):
    audience = api.create()
    api.upload(audience, rows(10))
    body = {"payload": {"schema": ["EXTERN_ID", "EMAIL"], "data": rows(2, 20)}}
    assert api.error(api("POST", f"{audience}/usersreplace", body))["code"] == 100
    body["session"] = {"session_id": 5, "batch_seq": 1, "last_batch_flag": True}
    assert api("POST", f"{audience}/usersreplace", body).ok
    assert sandbox.members("meta", "vip") == sorted(row[0] for row in rows(2, 20))


def test_flagged_audience_takes_nobody_but_lets_people_leave(api, sandbox):
    audience = api.create()
    api.upload(audience, rows(2))
    sandbox.execute("update meta_audiences set operation_code = 471")
    assert api.error(api.upload(audience, rows(1)))["error_subcode"] == 1713230
    assert api.upload(audience, rows(1), method="DELETE").ok and len(sandbox.members("meta", "vip")) == 1


def test_forms_are_understood_like_json(api, sandbox):
    audience = api.create()
    form = {"payload": json.dumps({"schema": ["EXTERN_ID", "EMAIL"], "data": rows(2)})}
    assert requests.post(f"{api.root}/{audience}/users", data=form, headers=api.headers, timeout=10).ok
    assert len(sandbox.members("meta", "vip")) == 2
    requests.delete(f"{api.root}/{audience}/users", params=form, headers=api.headers, timeout=10)
    assert sandbox.members("meta", "vip") == []


def test_nobody_can_read_the_members_back(api):
    assert api("GET", f"{api.create()}/users").status_code == 405
