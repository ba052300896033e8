"""The sandbox's Mailchimp against the vendor's specification and the vendor's own client."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import mailchimp_marketing
import pytest
import requests
from mailchimp_marketing.api_client import ApiClientError

from tests.shop import empty, empty_sandbox, put_on_list, statuses
from tests.swagger import Swagger

STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived")


def md5(address: str) -> str:
    return hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with empty_sandbox(tmp_path_factory.mktemp("mailchimp")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    empty(running)
    for status in STATUSES:
        put_on_list(running, f"{status}@shop.example", status, self_unsubscribed=status == "unsubscribed")
    return running


class Api:
    """Plain HTTP to the sandbox; every answer is held against the specification when it is there."""

    def __init__(self, sandbox, swagger):
        variables = sandbox.environment()
        self.root = variables["MAILCHIMP_BASE_URL"] + "/3.0"
        self.list = f"/lists/{variables['MAILCHIMP_LIST_ID']}"
        self.key = variables["MAILCHIMP_API_KEY"]
        self.swagger = swagger

    def __call__(self, method, path, body=None, **params):
        answer = requests.request(
            method, self.root + path, json=body, params=params, auth=("any", self.key), timeout=10
        )
        if self.swagger and not {"fields", "exclude_fields"} & set(params):
            self.swagger.check_answer(method, path, answer.status_code, answer.content)
        return answer


@pytest.fixture
def swagger(request):
    try:
        shared = request.getfixturevalue("shared")
    except pytest.skip.Exception:
        return None  # the behaviour is tested even where the specification is not at hand
    return Swagger(shared / "vendor-specs/mailchimp/marketing-3.0-audience.swagger2.json")


@pytest.fixture
def api(sandbox, swagger):
    return Api(sandbox, swagger)


def test_every_answer_is_as_specified(api, shared):
    made = api("POST", f"{api.list}/segments", {"name": "vip", "static_segment": ["subscribed@shop.example"]}).json()
    subscriber = f"{api.list}/members/{md5('subscribed@shop.example')}"
    put = {"email_address": "new@shop.example", "status_if_new": "transactional", "merge_fields": {"FNAME": "Ada"}}
    rows = [{"email_address": "newer@shop.example", "status": "transactional"}, {"email_address": "bad"}]
    operations = [{"method": "GET", "path": "lists", "operation_id": "1", "params": {"count": "1"}}]
    batch = api("POST", "/batches", {"operations": operations}).json()
    calls = [
        ("GET", "/ping"),
        ("GET", "/"),
        ("GET", "/lists"),
        ("GET", api.list),
        ("POST", api.list, {"members": rows, "update_existing": False}),
        ("GET", f"{api.list}/members"),
        ("POST", f"{api.list}/members", {"email_address": "post@shop.example", "status": "pending", "tags": ["new"]}),
        ("GET", subscriber),
        ("PUT", f"{api.list}/members/{md5('new@shop.example')}", put),
        ("PATCH", subscriber, {"merge_fields": {"LNAME": "L"}}),
        ("GET", f"{subscriber}/tags"),
        ("POST", f"{subscriber}/tags", {"tags": [{"name": "hot", "status": "active"}], "is_syncing": True}),
        ("GET", f"{api.list}/tag-search"),
        ("GET", f"{api.list}/segments"),
        ("GET", f"{api.list}/segments/{made['id']}"),
        ("PATCH", f"{api.list}/segments/{made['id']}", {"name": "very_important"}),
        ("POST", f"{api.list}/segments/{made['id']}", {"members_to_add": ["cleaned@shop.example"]}),
        ("GET", f"{api.list}/segments/{made['id']}/members"),
        ("DELETE", f"{api.list}/segments/{made['id']}/members/{md5('subscribed@shop.example')}"),
        ("GET", f"{api.list}/merge-fields"),
        ("POST", f"{api.list}/merge-fields", {"name": "Churn", "tag": "CHURN", "type": "number"}),
        ("GET", "/batches"),
        ("GET", f"/batches/{batch['id']}"),
        ("DELETE", f"/batches/{batch['id']}"),
        ("POST", f"{api.list}/members/{md5('new@shop.example')}/actions/delete-permanent"),
        ("DELETE", subscriber),
        ("DELETE", f"{api.list}/segments/{made['id']}"),
    ]
    for method, path, *body in calls:
        answer = api(method, path, *body)
        assert answer.status_code in (200, 204), (method, path, answer.text)
    for method, path in (("GET", "/lists/nope"), ("GET", f"{api.list}/members/{'0' * 32}")):
        assert api(method, path).status_code == 404


def test_the_vendors_own_client_lists_pages_writes_and_reads_back(sandbox):
    variables = sandbox.environment()
    client = mailchimp_marketing.Client()
    client.set_config({"api_key": variables["MAILCHIMP_API_KEY"], "server": "us21"})
    client.ping.api_client.host = client.lists.api_client.host = f"{variables['MAILCHIMP_BASE_URL']}/3.0"
    list_id = variables["MAILCHIMP_LIST_ID"]

    assert client.ping.get()["health_status"] == "Everything's Chimpy!"
    assert [found["id"] for found in client.lists.get_all_lists()["lists"]] == [list_id]
    rows = [{"email_address": f"n{n}@shop.example", "status": "transactional"} for n in range(25)]
    answer = client.lists.batch_list_members(list_id, {"members": rows, "update_existing": False})
    assert (answer["total_created"], answer["error_count"]) == (25, 0)
    seen = []
    while page := client.lists.get_list_members_info(list_id, count=7, offset=len(seen))["members"]:
        seen += [member["email_address"] for member in page]
    assert len(seen) == len(set(seen)) == 25 + 5, "everybody but the archived, each once"
    addresses = [row["email_address"] for row in rows]
    segment = client.lists.create_segment(list_id, {"name": "vip", "static_segment": []})
    client.lists.batch_segment_members({"members_to_add": addresses}, list_id, segment["id"])
    read = client.lists.get_segment_members_list(list_id, segment["id"], count=100, include_transactional=True)
    assert {member["email_address"] for member in read["members"]} == set(addresses)
    client.lists.set_list_member(
        list_id, md5("n1@shop.example"), {"email_address": "n1@shop.example", "status_if_new": "subscribed"}
    )
    assert client.lists.get_list_member(list_id, md5("n1@shop.example"))["status"] == "transactional"
    with pytest.raises(ApiClientError) as error:
        client.lists.get_list_member(list_id, "0" * 32)
    assert error.value.status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic !"}])
def test_wrong_credentials_are_refused(api, headers):
    answer = requests.get(api.root + "/ping", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["title"]) == (401, "API Key Invalid")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert requests.get(api.root + "/ping", headers={"Authorization": f"Bearer {api.key}"}, timeout=10).ok


def test_members_are_selected_by_status_time_and_field(api, sandbox):
    first = sandbox.state.now()
    put_on_list(sandbox, "late@shop.example", "subscribed")
    since = first.isoformat() + "+00:00"
    late = api("GET", f"{api.list}/members", since_last_changed=sandbox.state.now().isoformat() + "+00:00").json()
    assert [member["email_address"] for member in late["members"]] == ["late@shop.example"]
    early = api("GET", f"{api.list}/members", before_last_changed=since).json()
    assert "late@shop.example" not in [member["email_address"] for member in early["members"]]
    for status in STATUSES:
        found = api("GET", f"{api.list}/members", status=status).json()["members"]
        assert {member["status"] for member in found} == {status}
    trimmed = api("GET", f"{api.list}/members", fields="members.id,total_items").json()
    assert set(trimmed) == {"members", "total_items"} and set(trimmed["members"][0]) == {"id"}
    assert "tags" not in api("GET", f"{api.list}/members", exclude_fields="members.tags").json()["members"][0]
    assert api("GET", f"{api.list}/members", count=1001).status_code == 400


def test_last_changed_moves_only_when_the_member_changes(api):
    path = f"{api.list}/members/{md5('subscribed@shop.example')}"
    before = api("GET", path).json()["last_changed"]
    same = {"email_address": "subscribed@shop.example", "status_if_new": "transactional"}
    assert api("PUT", path, same).json()["last_changed"] == before
    assert api("PUT", path, {**same, "merge_fields": {"FNAME": "Ada"}}).json()["last_changed"] > before


@pytest.mark.parametrize("status", ["unsubscribed", "cleaned"])
def test_compliance_state_cannot_be_subscribed_again(api, sandbox, status):
    path = f"{api.list}/members/{md5(status + '@shop.example')}"
    answer = api("PATCH", path, {"status": "subscribed"})
    assert (answer.status_code, answer.json()["title"]) == (400, "Member In Compliance State")
    row = {"email_address": f"{status}@shop.example", "status": "subscribed"}
    answer = api("POST", api.list, {"members": [row], "update_existing": True}).json()
    assert answer["error_count"] == 1 and statuses(sandbox)[f"{status}@shop.example"] == status
    assert api("PATCH", path, {"status": "pending"}).ok, "an opt-in mail may be asked for"


def test_update_existing_does_change_the_status_which_is_the_danger(api, sandbox):
    put_on_list(sandbox, "left@shop.example", "unsubscribed")
    row = {"email_address": "left@shop.example", "status": "subscribed"}
    assert api("POST", api.list, {"members": [row]}).json()["errors"][0]["error_code"] == "ERROR_CONTACT_EXISTS"
    assert statuses(sandbox)["left@shop.example"] == "unsubscribed"
    assert api("POST", api.list, {"members": [row], "update_existing": True}).json()["total_updated"] == 1
    assert statuses(sandbox)["left@shop.example"] == "subscribed"


def test_batch_answers_200_with_errors_by_address(api):
    addresses = ["bad", "admin@shop.example", "x@gmial.com", "twice@shop.example", "twice@shop.example"]
    rows = [{"email_address": address, "status": "transactional"} for address in addresses]
    answer = api("POST", api.list, {"members": rows}).json()
    assert (answer["total_created"], answer["error_count"]) == (1, 4)
    assert [error["email_address"] for error in answer["errors"]] == [*addresses[:3], "twice@shop.example"]
    assert api("POST", api.list, {"members": rows[3:]}, skip_duplicate_check="true").json()["error_count"] == 2
    assert api("POST", api.list, {"members": rows * 101}).status_code == 400


def test_forgotten_address_cannot_come_back(api):
    assert (
        api("POST", f"{api.list}/members/{md5('subscribed@shop.example')}/actions/delete-permanent").status_code == 204
    )
    body = {"email_address": "subscribed@shop.example", "status_if_new": "subscribed"}
    answer = api("PUT", f"{api.list}/members/{md5('subscribed@shop.example')}", body)
    assert (answer.status_code, answer.json()["title"]) == (400, "Forgotten Email Not Subscribed")


def test_archiving_forgets_the_status_and_put_brings_back(api):
    path = f"{api.list}/members/{md5('subscribed@shop.example')}"
    assert api("DELETE", path).status_code == 204
    assert api("GET", path).json()["status"] == "archived"
    body = {"email_address": "subscribed@shop.example", "status_if_new": "transactional"}
    assert api("PUT", path, body).json()["status"] == "transactional"


def test_segments_show_only_the_subscribed_unless_asked(api, sandbox):
    everybody = [f"{status}@shop.example" for status in STATUSES]
    segment = api("POST", f"{api.list}/segments", {"name": "all", "static_segment": everybody}).json()
    path = f"{api.list}/segments/{segment['id']}"
    assert api("GET", path).json()["member_count"] == 1
    include = {f"include_{status}": "true" for status in ("cleaned", "transactional", "unsubscribed")}
    shown = api("GET", f"{path}/members", **include).json()["members"]
    assert {member["status"] for member in shown} == {"subscribed", "cleaned", "transactional", "unsubscribed"}
    assert len(sandbox.members("mailchimp", "all")) == 6
    assert api("POST", f"{api.list}/segments", {"name": "all", "static_segment": []}).status_code == 400


def test_segment_edit_ignores_strangers_and_is_limited_to_500(api, sandbox):
    segment = api("POST", f"{api.list}/segments", {"name": "vip", "static_segment": []}).json()
    path = f"{api.list}/segments/{segment['id']}"
    body = {"members_to_add": ["subscribed@shop.example", "stranger@shop.example", "archived@shop.example"]}
    answer = api("POST", path, body).json()
    assert (answer["total_added"], answer["errors"]) == (1, [])
    assert sandbox.members("mailchimp", "vip") == ["subscribed@shop.example"]
    assert api("POST", path, {"members_to_add": ["a@shop.example"] * 501}).status_code == 400
    assert api("POST", path, {"members_to_remove": ["subscribed@shop.example"]}).json()["total_removed"] == 1


def test_unknown_merge_fields_are_dropped_and_wrong_numbers_refused(api):
    path = f"{api.list}/members/{md5('subscribed@shop.example')}"
    api("POST", f"{api.list}/merge-fields", {"name": "Churn", "tag": "CHURN", "type": "number"})
    answer = api("PATCH", path, {"merge_fields": {"CHURN": 0.5, "NOPE": 1}}).json()["merge_fields"]
    assert answer["CHURN"] == 0.5 and "NOPE" not in answer
    assert api("PATCH", path, {"merge_fields": {"CHURN": "high"}}).json()["title"] == "Invalid Resource"
    assert api("PATCH", path, {"merge_fields": {"CHURN": ""}}).json()["merge_fields"]["CHURN"] == ""
    again = api("POST", f"{api.list}/merge-fields", {"name": "Churn", "tag": "CHURN", "type": "number"})
    assert again.status_code == 400 and "already exists" in again.json()["detail"]


def test_asynchronous_batch_progresses_and_delivers_an_archive(api):
    put = {"email_address": "new@shop.example", "status_if_new": "transactional"}
    operations = [
        {"method": "PUT", "path": f"{api.list}/members/new@shop.example", "operation_id": "a", "body": json.dumps(put)},
        {"method": "PUT", "path": f"{api.list}/members/bad", "operation_id": "b", "body": "{}"},
    ]
    batch = api("POST", "/batches", {"operations": operations}).json()
    seen = [batch["status"]]
    while batch["status"] != "finished":
        batch = api("GET", f"/batches/{batch['id']}").json()
        seen.append(batch["status"])
    assert seen == ["pending", "started", "finished"]
    assert (batch["total_operations"], batch["errored_operations"]) == (2, 1)
    content = requests.get(batch["response_body_url"], timeout=10).content  # pre-signed: no credentials
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        results = json.load(archive.extractfile(archive.getmembers()[0]))
    assert [(result["operation_id"], result["status_code"]) for result in results] == [("a", 200), ("b", 400)]
    assert json.loads(results[0]["response"])["status"] == "transactional"


def test_eleventh_simultaneous_connection_is_refused(api, sandbox):
    held, gate = threading.Event(), threading.Event()

    def hold():
        with sandbox.state.lock:
            held.set()
            gate.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    with ThreadPoolExecutor(14) as pool:
        body = {"members": [{"email_address": "new@shop.example", "status": "transactional"}]}
        answers = [
            pool.submit(requests.post, api.root + api.list, json=body, auth=("any", api.key), timeout=20)
            for _ in range(14)
        ]
        while sum(answer.done() for answer in answers) < 4:
            time.sleep(0.01)
        gate.set()
        codes = sorted(answer.result().status_code for answer in answers)
    holder.join()
    assert codes == [200] * 10 + [429] * 4


def test_throttling_under_extreme_volume_is_a_403_without_body(api, sandbox):
    sandbox.fault("mailchimp", "429", status=403)
    answer = api("GET", "/ping", fields="health_status")
    assert (answer.status_code, answer.content) == (403, b"")
