"""Who says no in the e-mail tool is out after the next push, and no push ever makes anybody a subscriber."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import pytest
import requests

from connectors import sync
from connectors.audience import Audience
from connectors.destinations import configured
from connectors.lake import Lake
from tests.shop import AS_OF, empty, empty_sandbox, people, put_on_list, statuses, write_audience, write_people

AUDIENCES = [
    Audience(name="vip", fields={"CHURN": "churn_probability"}),
    Audience(name="win_back"),
]
EVERYBODY = people(6)
ANNA = EVERYBODY[0]

MUST_BE_OUT = ["unsubscribed", "cleaned", "pending", "archived"]
MAY_STAY = ["subscribed", "transactional"]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with empty_sandbox(tmp_path_factory.mktemp("opt-outs")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running, lake):
    empty(running)
    lay_out(lake, EVERYBODY)
    yield running
    assert_nobody_was_subscribed(running)


def lay_out(lake, persons):
    """A shop that wants everybody in every audience."""
    write_people(lake, persons)
    for audience in AUDIENCES:
        write_audience(lake, audience.name, {person.customer_id: 0.5 for person in persons})


def assert_nobody_was_subscribed(sandbox):
    """No request we ever sent carries the word that signs somebody up."""
    for request in sandbox.requests.last("mailchimp"):
        if request["method"] != "GET" and request["headers"].get("X-Test") != "the person themselves":
            assert "subscribed" not in request["body"], request


def push(sandbox, lake):
    destination = configured(sandbox.environment())["mailchimp"]
    return [sync.apply(lake, sync.make_plan(lake, a, destination, AS_OF), destination) for a in AUDIENCES]


def by_the_person(sandbox, method, path, body=None):
    """Something done in Mailchimp itself (by the person or the shop's staff), not by us."""
    variables = sandbox.environment()
    root = f"{variables['MAILCHIMP_BASE_URL']}/3.0/lists/{variables['MAILCHIMP_LIST_ID']}/members"
    key = hashlib.md5(ANNA.email.encode(), usedforsecurity=False).hexdigest()
    answer = requests.request(
        method,
        f"{root}/{key}{path}",
        json=body,
        auth=("any", variables["MAILCHIMP_API_KEY"]),
        headers={"X-Test": "the person themselves"},
        timeout=10,
    )
    assert answer.ok, answer.text


WAYS_OUT = [(status, by_themselves) for status in MUST_BE_OUT for by_themselves in (True, False)]
STATUSES = MUST_BE_OUT + MAY_STAY


@dataclass
class Evening:
    """What the audiences and the list held after a push."""

    results: list[sync.SyncResult]
    members: dict[str, list[str]]
    statuses: dict[str, str]


def evening(sandbox, lake):
    results = push(sandbox, lake)
    members = {audience.name: sandbox.members("mailchimp", audience.name) for audience in AUDIENCES}
    return Evening(results, members, statuses(sandbox))


@pytest.fixture(scope="module")
def evenings(tmp_path_factory):
    """Three pushes to as many people as there are ways out and six more; between the first two each went their way."""
    folder = tmp_path_factory.mktemp("evenings")
    with empty_sandbox(folder) as sandbox:
        lake, persons = Lake(folder / "lake"), people(len(WAYS_OUT) + 6)
        lay_out(lake, persons)
        told = [evening(sandbox, lake)]
        for person, (status, by_themselves) in zip(persons, WAYS_OUT, strict=False):
            put_on_list(sandbox, person.email, status, by_themselves)
        told += [evening(sandbox, lake), evening(sandbox, lake)]
        assert_nobody_was_subscribed(sandbox)
    return told


@pytest.mark.parametrize(
    ("number", "status"),
    [(number, status) for number, (status, _) in enumerate(WAYS_OUT)],
    ids=[f"{status}-{'by the person' if themselves else 'by staff'}" for status, themselves in WAYS_OUT],
)
def test_who_opts_out_between_two_pushes_is_out_of_every_audience(evenings, number, status):
    before, after, again = evenings
    email = people(number + 1)[number].email
    for audience in AUDIENCES:
        assert email in before.members[audience.name]
        assert email not in after.members[audience.name] and email not in again.members[audience.name]
    assert after.statuses[email] == again.statuses[email] == status


def test_each_of_them_is_counted_once_and_the_next_push_changes_nothing(evenings):
    _, after, again = evenings
    for result in after.results:
        assert result.removed == len(WAYS_OUT) and result.blocked == {"vendor_opt_out": len(WAYS_OUT)}
        assert result.is_in_step and result.confirmed == 6
    assert [(r.added, r.removed, r.updated) for r in again.results] == [(0, 0, 0)] * 2


@pytest.fixture(scope="module")
def first_evening(tmp_path_factory):
    """The first push to six people and one more for each status somebody already has on the list."""
    folder = tmp_path_factory.mktemp("first-evening")
    with empty_sandbox(folder) as sandbox:
        lake, persons = Lake(folder / "lake"), people(len(STATUSES) + 6)
        lay_out(lake, persons)
        for person, status in zip(persons, STATUSES, strict=False):
            put_on_list(sandbox, person.email, status)
        told = evening(sandbox, lake)
        assert_nobody_was_subscribed(sandbox)
    return told


@pytest.mark.parametrize("status", MUST_BE_OUT)
def test_who_opted_out_before_the_first_push_never_comes_in(first_evening, status):
    email = people(len(STATUSES))[STATUSES.index(status)].email
    assert not [name for name, members in first_evening.members.items() if email in members]
    assert first_evening.statuses[email] == status


@pytest.mark.parametrize("status", MAY_STAY)
def test_who_may_be_reached_stays_in_with_the_status_they_have(first_evening, status):
    email = people(len(STATUSES))[STATUSES.index(status)].email
    assert all(email in members for members in first_evening.members.values())
    assert first_evening.statuses[email] == status


def test_all_others_come_in_and_only_who_opted_out_is_blocked(first_evening):
    for result in first_evening.results:
        assert result.blocked == {"vendor_opt_out": len(MUST_BE_OUT)} and result.is_in_step
        assert result.confirmed == len(MAY_STAY) + 6


def test_newcomers_are_transactional(sandbox, lake):
    push(sandbox, lake)
    assert set(statuses(sandbox).values()) == {"transactional"}


def test_opt_out_between_plan_and_apply_wins(sandbox, lake):
    destination = configured(sandbox.environment())["mailchimp"]
    plan = sync.make_plan(lake, AUDIENCES[0], destination, AS_OF)
    assert plan.added == 6
    gone = EVERYBODY[: len(MUST_BE_OUT)]
    for person, status in zip(gone, MUST_BE_OUT, strict=True):
        put_on_list(sandbox, person.email, status)
    result = sync.apply(lake, plan, destination)
    assert result.added == 2 and result.blocked == {"vendor_opt_out": 4}
    assert sandbox.members("mailchimp", "vip") == sorted(person.email for person in EVERYBODY[len(gone) :])


def test_member_who_opts_out_between_plan_and_apply_is_removed_though_not_planned(sandbox, lake):
    push(sandbox, lake)
    destination = configured(sandbox.environment())["mailchimp"]
    plan = sync.make_plan(lake, AUDIENCES[0], destination, AS_OF)
    assert plan.is_empty
    gone = EVERYBODY[: len(MUST_BE_OUT)]
    for person, status in zip(gone, MUST_BE_OUT, strict=True):
        put_on_list(sandbox, person.email, status)
    assert sync.apply(lake, plan, destination).removed == 4
    assert sandbox.members("mailchimp", "vip") == sorted(person.email for person in EVERYBODY[len(gone) :])


def test_opt_outs_are_followed_though_a_guard_on_removals_is_tight(sandbox, lake):
    push(sandbox, lake)
    for person in EVERYBODY[:5]:
        put_on_list(sandbox, person.email, "unsubscribed", self_unsubscribed=True)
    assert [result.removed for result in push(sandbox, lake)] == [5, 5]
    assert sandbox.members("mailchimp", "vip") == [EVERYBODY[5].email]


def test_score_fields_of_the_opted_out_are_not_touched(sandbox, lake):
    push(sandbox, lake)
    put_on_list(sandbox, ANNA.email, "unsubscribed", self_unsubscribed=True)
    push(sandbox, lake)
    write_audience(lake, "vip", {person.customer_id: 0.9 for person in EVERYBODY})
    push(sandbox, lake)
    fields = dict(sandbox.execute("select lower(email), merge_fields from mailchimp_members"))
    assert fields[ANNA.email] == "{}" and json.loads(fields[EVERYBODY[1].email]) == {"CHURN": 0.9}


def test_who_signs_up_again_at_the_vendor_comes_back(sandbox, lake):
    push(sandbox, lake)
    put_on_list(sandbox, ANNA.email, "unsubscribed", self_unsubscribed=True)
    push(sandbox, lake)
    put_on_list(sandbox, ANNA.email, "subscribed")
    assert [result.added for result in push(sandbox, lake)] == [1, 1]
    assert ANNA.email in sandbox.members("mailchimp", "vip")
    assert statuses(sandbox)[ANNA.email] == "subscribed"


def test_archived_member_who_is_brought_back_by_staff_is_judged_anew(sandbox, lake):
    push(sandbox, lake)
    by_the_person(sandbox, "DELETE", "")
    push(sandbox, lake)
    assert ANNA.email not in sandbox.members("mailchimp", "vip")
    by_the_person(sandbox, "PUT", "", {"email_address": ANNA.email, "status_if_new": "unsubscribed"})
    assert [result.added for result in push(sandbox, lake)] == [0, 0]
    assert ANNA.email not in sandbox.members("mailchimp", "vip")


def test_permanently_deleted_person_is_not_created_again(sandbox, lake):
    push(sandbox, lake)
    by_the_person(sandbox, "POST", "/actions/delete-permanent")
    results = push(sandbox, lake)
    assert [result.blocked for result in results] == [{"rejected": 1}] * 2
    assert ANNA.email not in statuses(sandbox)
    before = sandbox.requests.counts()
    again = push(sandbox, lake)
    assert [result.blocked for result in again] == [{"rejected_before": 1}] * 2
    writes = [row for row in sandbox.requests.counts() if row["method"] != "GET"]
    assert writes == [row for row in before if row["method"] != "GET"], "not tried again every night"


def test_shop_side_denial_removes_the_person_whatever_mailchimp_says(sandbox, lake):
    put_on_list(sandbox, ANNA.email, "subscribed")
    push(sandbox, lake)
    denied = people(6)
    denied[0].email_consent = "denied"
    write_people(lake, denied)
    for result in push(sandbox, lake):
        assert result.removed == 1 and result.blocked == {"denied": 1}
    assert ANNA.email not in sandbox.members("mailchimp", "vip")
    assert statuses(sandbox)[ANNA.email] == "subscribed", "what they are at Mailchimp is theirs to change"
