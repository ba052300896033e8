"""What every destination promises, whatever the vendor: the same tests for each one that is listed.

The sandbox plays the vendor and its failures. A new destination needs no new test here to be held to all of this.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from connectors import sync
from connectors.audience import MEMBERSHIP, OPT_OUTS, Audience, Departure, Destination
from connectors.destinations import DESTINATIONS, configured
from connectors.http import AuthError, VendorDown, VendorError
from connectors.lake import Lake
from connectors.settings import SettingsError
from tests.meta_spec import MetaSpec
from tests.shop import AS_OF, Person, empty, empty_sandbox, people, write_audience, write_people
from tests.swagger import Swagger, operations_in_batch

AUDIENCE = Audience(
    name="win_back",
    description="People who are about to leave.",
    fields={"CHURN": "churn_probability"},
    maximum_added_share=None,
    maximum_removed_share=None,
)
WRITES = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with empty_sandbox(tmp_path_factory.mktemp("destinations")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running, monkeypatch):
    monkeypatch.setenv("KIZUNA_RETRY_SECONDS", "6")
    monkeypatch.setattr("connectors.http.FIRST_WAIT_SECONDS", 0.02)
    monkeypatch.setattr("connectors.destinations.meta.LOOK_AGAIN_SECONDS", 0.02)
    return empty(running)


@pytest.fixture(params=sorted(DESTINATIONS))
def shop(request, sandbox, lake):
    return Shop(request.param, sandbox, lake)


@dataclass
class Shop:
    """One destination, the sandbox behind it and a lake with a few people."""

    name: str
    sandbox: Any
    lake: Lake

    def destination(self) -> Destination:
        """As a new process would see it."""
        return configured(self.sandbox.environment())[self.name]

    def wants(self, persons: list[Person], score: float = 0.5) -> None:
        write_people(self.lake, persons)
        write_audience(self.lake, AUDIENCE.name, {person.customer_id: score for person in persons})

    def push(self) -> sync.SyncResult:
        destination = self.destination()
        plan = sync.make_plan(self.lake, AUDIENCE, destination, AS_OF)
        return sync.apply(self.lake, plan, destination)

    def members(self) -> list[str]:
        return self.sandbox.members(self.name, AUDIENCE.name)

    def writes(self) -> int:
        counted = self.sandbox.requests.counts()
        return sum(row["count"] for row in counted if row["vendor"] == self.name and row["method"] in WRITES)


def test_it_says_what_the_engine_needs_to_know(shop):
    destination = shop.destination()
    assert destination.name == shop.name
    assert destination.channel in {"email", "sms", "ad", "push", "line"}
    assert destination.batch_size > 0 and destination.removal_batch_size > 0
    assert destination.identifiers and destination.identifier_types
    assert destination.opt_outs().schema == OPT_OUTS


def test_everybody_wanted_and_allowed_is_in_and_nobody_else(shop):
    persons = people(12)
    persons[2].email_consent = persons[2].ad_consent = None
    persons[3].email_consent = persons[3].ad_consent = "denied"
    persons[4].email = persons[4].phone = None
    shop.wants(persons)
    result = shop.push()
    assert result.blocked == {"denied": 1, "no_consent": 1, "no_identifier": 1}
    assert (result.wanted, result.added, result.confirmed, result.unknown) == (12, 9, 9, 0)
    assert result.is_in_step and len(shop.members()) == 9


def test_second_push_sends_nothing(shop):
    shop.wants(people(12))
    shop.push()
    before, receipts = shop.writes(), shop.lake.fingerprint(f"receipts/{shop.name}/{AUDIENCE.name}")
    again = shop.push()
    assert (again.added, again.updated, again.removed) == (0, 0, 0)
    assert again.confirmed == 12 and again.is_in_step
    assert shop.writes() == before
    assert shop.lake.fingerprint(f"receipts/{shop.name}/{AUDIENCE.name}") == receipts, "receipts do not grow"


def test_who_leaves_is_removed_and_who_comes_is_added(shop):
    shop.wants(people(12))
    shop.push()
    shop.wants(people(12, start=4))
    result = shop.push()
    assert (result.added, result.removed, result.confirmed) == (4, 4, 12)
    assert len(shop.members()) == 12


def test_who_says_no_is_removed(shop):
    persons = people(6)
    shop.wants(persons)
    shop.push()
    persons[0].email_consent = persons[0].ad_consent = "denied"
    persons[1].email_consent = persons[1].ad_consent = None
    shop.wants(persons)
    result = shop.push()
    assert (result.removed, result.blocked) == (2, {"denied": 1, "no_consent": 1})
    assert len(shop.members()) == 4 and result.is_in_step


def test_batches_may_be_empty(shop):
    shop.wants(people(1))
    shop.push()
    destination = shop.destination()
    audience_id = destination.find_audience(AUDIENCE, None)
    assert audience_id is not None
    assert destination.add(audience_id, []) == destination.update(audience_id, []) == []
    assert destination.remove(audience_id, []) == []
    shop.wants([])
    assert len(shop.members()) == 1


def test_audience_is_found_again_by_its_id_after_it_was_renamed(shop):
    shop.wants(people(3))
    shop.push()
    table = {"mailchimp": "mailchimp_segments", "meta": "meta_audiences"}[shop.name]
    shop.sandbox.execute(f"update {table} set name = 'VIPs 2027' where name = 'win_back'")
    shop.wants(people(4))
    result = shop.push()
    assert result.added == 1 and shop.members() == []
    assert len(shop.sandbox.members(shop.name, "VIPs 2027")) == 4


@pytest.mark.slow
def test_audience_deleted_at_the_vendor_is_filled_anew(shop):
    shop.wants(people(3))
    shop.push()
    tables = {
        "mailchimp": ("mailchimp_segments", "mailchimp_segment_members"),
        "meta": ("meta_audiences", "meta_users"),
    }
    for table in tables[shop.name]:
        shop.sandbox.execute(f"delete from {table}")
    result = shop.push()
    assert result.added == 3 and len(shop.members()) == 3 and result.is_in_step


RECOVERED = [
    "429",
    "500_after_commit",
    *(
        pytest.param(kind, marks=pytest.mark.slow)
        for kind in ("429_retry_after", "500_before", "dropped_after_commit", "timeout", "partial")
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", RECOVERED)
def test_a_push_gets_over(shop, kind):
    shop.wants(people(9))
    options = {"seconds": 0.2} if kind in ("timeout", "429_retry_after") else {}
    path = "/(lists|segments|batches|users|customaudiences)"
    shop.sandbox.fault(shop.name, kind, method="POST", path=path, times=2, **options)
    result = shop.push()
    members = shop.members()
    assert len(members) == len(set(members))
    again = shop.push()
    assert again.is_in_step or kind == "partial"
    if kind != "partial":
        assert (result.added, result.confirmed) == (9, 9)
        assert (again.added, again.updated, again.removed) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", RECOVERED)
def test_a_removal_gets_over(shop, kind):
    shop.wants(people(9))
    shop.push()
    shop.wants(people(5))
    options = {"seconds": 0.2} if kind in ("timeout", "429_retry_after") else {}
    path = {"mailchimp": "/segments/", "meta": "/users"}[shop.name]
    method = {"mailchimp": "POST", "meta": "DELETE"}[shop.name]
    shop.sandbox.fault(shop.name, kind, method=method, path=path, times=1, **options)
    shop.push()
    result = shop.push()
    assert len(shop.members()) == 5 and result.is_in_step


def test_refused_credentials_name_the_variable_and_send_nothing_on(shop):
    shop.wants(people(3))
    shop.push()
    shop.wants(people(5))
    shop.sandbox.fault(shop.name, "expired_token", times=None)
    with pytest.raises(AuthError, match={"mailchimp": "MAILCHIMP_API_KEY", "meta": "META_ACCESS_TOKEN"}[shop.name]):
        shop.push()
    shop.sandbox.faults.clear()
    assert shop.push().added == 2


def test_vendor_that_is_down_is_an_error_and_the_next_run_goes_on(shop, monkeypatch):
    monkeypatch.setenv("KIZUNA_RETRY_SECONDS", "0.1")
    shop.wants(people(5))
    shop.sandbox.fault(shop.name, "down")
    with pytest.raises(VendorDown):
        shop.push()
    shop.sandbox.faults.clear()
    assert shop.push().confirmed == 5


@pytest.mark.slow
def test_batch_of_unknown_outcome_is_settled_by_the_next_run(shop, monkeypatch):
    monkeypatch.setenv("KIZUNA_RETRY_SECONDS", "0.1")
    monkeypatch.setattr("connectors.destinations.meta.ATTEMPTS", 1)
    shop.wants(people(9))
    path = {"mailchimp": "/segments/", "meta": "/users"}[shop.name]
    shop.sandbox.fault(shop.name, "500_after_commit", method="POST", path=path, times=None)
    with pytest.raises(VendorError):
        shop.push()
    assert len(shop.members()) == 9, "the vendor did take them"
    shop.sandbox.faults.clear()
    result = shop.push()
    assert result.confirmed == 9 and result.is_in_step
    assert shop.push().added == 0


def test_no_address_and_no_secret_reaches_plans_receipts_or_messages(shop, caplog):
    caplog.set_level("DEBUG")
    shop.wants(people(5))
    shop.sandbox.fault(shop.name, "500_before", method="POST", times=1)
    shop.push()
    with shop.lake.connect() as connection:
        for dataset in (f"plans/{shop.name}/{AUDIENCE.name}", f"receipts/{shop.name}/{AUDIENCE.name}"):
            text = str(connection.execute(f"FROM read_parquet('{shop.lake.glob(dataset)}')").fetchall())
            assert "@" not in text and "+8190" not in text
    secrets = [value for name, value in shop.sandbox.environment().items() if name.endswith(("KEY", "TOKEN"))]
    assert not [word for word in ["@shop.example", "+8190", *secrets] if word in caplog.text]


def test_configuration_is_named_when_it_is_missing_or_half(shop):
    config = DESTINATIONS[shop.name][0]
    assert config.load({}) is None
    required = [variable.name for variable in config.variables() if variable.is_required]
    for missing in required:
        with pytest.raises(SettingsError, match=missing):
            config.load({name: "x" for name in required if name != missing})
    assert all(variable.meaning for variable in config.variables())


def test_requests_are_as_the_vendor_specifies(shop, shared):
    persons = people(6)
    shop.wants(persons)
    shop.push()
    shop.wants(persons[2:], score=0.9)
    shop.push()
    shop.push()
    {"mailchimp": check_mailchimp, "meta": check_meta}[shop.name](shop.sandbox.requests.last(shop.name), shared)


def check_mailchimp(sent, shared):
    swagger = Swagger(shared / "vendor-specs/mailchimp/marketing-3.0-audience.swagger2.json")
    # The vendor's guide allows field selection on every answer; the specification lists it for reads only.
    everywhere = frozenset({"fields"})
    for request in sent:
        path = request["path"].removeprefix("/mailchimp/3.0")
        if path.startswith("/batch-results/"):
            continue  # a pre-signed file, not a call of the API
        swagger.check_request(request["method"], path, request["query"], request["body"], everywhere)
        if (request["method"], path) == ("POST", "/batches"):
            for operation in operations_in_batch(request["body"]):
                swagger.check_request(*operation, frozenset())


def check_meta(sent, shared):
    spec = MetaSpec(shared / "vendor-specs/meta")
    for request in sent:
        path = request["path"].removeprefix("/meta/v26.0/")
        spec.check_request(request["method"], path, request["query"], request["body"])
        for field in request["query"].get("fields", []):
            assert set(field.split(",")) <= spec.fields("CustomAudience")


# What leaves us when person 0 enters an audience and when person 1 takes their place, request by request.
# Ids of the vendor's audiences stand as <id>, random session ids are left out.
EXPECTED = {
    "mailchimp": [
        (
            "POST /lists/a1b2c3d4e5/merge-fields",
            {"name": "CHURN", "tag": "CHURN", "type": "number", "required": False, "public": False},
        ),
        ("POST /lists/a1b2c3d4e5/segments", {"name": "win_back", "static_segment": []}),
        (
            "POST /lists/a1b2c3d4e5",
            {
                "members": [
                    {
                        "email_address": "person0@shop.example",
                        "status": "transactional",
                        "merge_fields": {"CHURN": 0.5},
                    }
                ],
                "update_existing": False,
                "sync_tags": False,
            },
        ),
        ("POST /lists/a1b2c3d4e5/segments/<id>", {"members_to_add": ["person0@shop.example"]}),
        ("POST /lists/a1b2c3d4e5/segments/<id>", {"members_to_remove": ["person0@shop.example"]}),
        (
            "POST /lists/a1b2c3d4e5",
            {
                "members": [
                    {
                        "email_address": "person1@shop.example",
                        "status": "transactional",
                        "merge_fields": {"CHURN": 0.25},
                    }
                ],
                "update_existing": False,
                "sync_tags": False,
            },
        ),
        ("POST /lists/a1b2c3d4e5/segments/<id>", {"members_to_add": ["person1@shop.example"]}),
    ],
    "meta": [
        (
            "POST /act_1000000000001/customaudiences",
            {
                "name": "win_back",
                "subtype": "CUSTOM",
                "description": "People who are about to leave.",
                "customer_file_source": "USER_PROVIDED_ONLY",
            },
        ),
        (
            "POST /<id>/users",
            {
                "payload": {
                    "schema": ["EXTERN_ID", "EMAIL", "PHONE", "COUNTRY"],
                    "data": [
                        [
                            "8eaa49e7271d91072f7f4656c2a42d0fe263915c36f6e50a3922be27784bb435",
                            "5850a1ec1b349dc988481e73663803c20e3f67bfc0925cf2b5860ed521f59323",
                            "b7f2a81609e8483e60c449f1c6642f0fbf473184d6bbae35fe807a756ff4f8d6",
                            "9732c83e3e03fffde2ee65a9d826df8c4dd623c27fb92b952fe62a02f0726f87",
                        ]
                    ],
                },
                "session": {"batch_seq": 1, "last_batch_flag": True, "estimated_num_total": 1},
            },
        ),
        (
            "DELETE /<id>/users",
            {
                "payload": {
                    "schema": ["EXTERN_ID"],
                    "data": [["8eaa49e7271d91072f7f4656c2a42d0fe263915c36f6e50a3922be27784bb435"]],
                },
                "session": {"batch_seq": 1, "last_batch_flag": True, "estimated_num_total": 1},
            },
        ),
        (
            "POST /<id>/users",
            {
                "payload": {
                    "schema": ["EXTERN_ID", "EMAIL", "PHONE", "COUNTRY"],
                    "data": [
                        [
                            "4f513de743348d8887c966b902560495a1967ac36ea1e716f6f2032d5083c4ae",
                            "",
                            "ca0cac4a76eede9e75644fae76642d91d99dcff5b8b605275f270d5a35436e1b",
                            "9732c83e3e03fffde2ee65a9d826df8c4dd623c27fb92b952fe62a02f0726f87",
                        ]
                    ],
                },
                "session": {"batch_seq": 1, "last_batch_flag": True, "estimated_num_total": 1},
            },
        ),
    ],
}


def test_outgoing_payloads_are_exactly_these(shop):
    first, second = people(2)
    write_people(shop.lake, [first, second])
    write_audience(shop.lake, AUDIENCE.name, {first.customer_id: 0.5})
    shop.push()
    if shop.name == "meta":
        second.email = None  # an unknown value travels as an empty text, never as the hash of one
    write_people(shop.lake, [first, second])
    write_audience(shop.lake, AUDIENCE.name, {second.customer_id: 0.25})
    shop.push()
    sent = []
    for request in shop.sandbox.requests.last(shop.name):
        if request["method"] in WRITES:
            body = json.loads(request["body"])
            body.get("session", {}).pop("session_id", None)
            path = re.sub(r"(?<=/)(\d{6}|\d{17})(?=/|$)", "<id>", re.sub(r".*(3\.0|v26\.0)", "", request["path"]))
            sent.append((f"{request['method']} {path}", body))
    assert sent == EXPECTED[shop.name]


def test_read_back_lists_whom_we_added(shop):
    shop.wants(people(4))
    shop.push()
    destination = shop.destination()
    audience_id = destination.find_audience(AUDIENCE, None)
    count = destination.count(audience_id)
    assert count.is_settled and count.lower <= 4 <= count.upper
    if destination.lists_members:
        listed = destination.read_back(audience_id)
        assert listed.schema == MEMBERSHIP and listed.num_rows == 4


def test_departure_of_a_stranger_is_no_error(shop):
    shop.wants(people(2))
    shop.push()
    destination = shop.destination()
    audience_id = destination.find_audience(AUDIENCE, None)
    stranger = Departure("c9", "0" * 64, "stranger@shop.example")
    assert destination.remove(audience_id, [stranger])[0].state == "accepted"
    assert len(shop.members()) == 2
