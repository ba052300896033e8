"""The sync engine's promises apart from opt-outs and kills: guards, plans, receipts, blocked reasons, bad rows."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from connectors import sync
from connectors.audience import Audience
from connectors.destinations import configured
from connectors.guards import ApplyInProgress, GuardTripped, apply_lock
from connectors.http import OutcomeUnknown
from connectors.identifiers import MAILCHIMP_SUBSCRIBER_HASH
from connectors.lake import Lake
from connectors.plan import KEPT_PLANS, Plan, PlanError
from tests.memory_tool import Tool
from tests.shop import AS_OF, empty, empty_sandbox, people, put_on_list, write_audience, write_people

AUDIENCE = Audience(name="vip", fields={"CHURN": "churn_probability"})


def push(lake, tool, audience=AUDIENCE, as_of=AS_OF):
    return sync.apply(lake, sync.make_plan(lake, audience, tool, as_of), tool)


def wants(lake, persons, score=0.5, name="vip"):
    write_people(lake, persons)
    write_audience(lake, name, {person.customer_id: score for person in persons})


def rows_of(lake, plan):
    with lake.connect() as connection:
        columns = "customer_id, member_key, action, payload_hash, reason"
        file = lake.path(plan.dataset, f"{plan.plan_id}.parquet")
        return connection.execute(f"SELECT {columns} FROM read_parquet('{file}')").fetchall()


def test_a_lake_may_lie_in_a_folder_with_an_apostrophe(tmp_path):
    lake, tool = Lake(tmp_path / "Hanako's lake"), Tool()
    wants(lake, people(2))
    assert push(lake, tool).added == 2 and push(lake, tool).added == 0


# --- plans


def test_a_plan_says_who_what_and_why_and_sends_nothing(lake):
    tool, persons = Tool(), people(4)
    persons[0].email_consent = None
    wants(lake, persons)
    plan = sync.make_plan(lake, AUDIENCE, tool, AS_OF)
    assert (plan.wanted, plan.added, plan.blocked, plan.confirmed_before) == (4, 3, {"no_consent": 1}, 0)
    rows = rows_of(lake, plan)
    assert {(row[0], row[2], row[4]) for row in rows} == {
        ("c00000", "blocked", "no_consent"),
        *((f"c0000{n}", "add", None) for n in (1, 2, 3)),
    }
    assert tool.sent == []


def test_a_saved_plan_can_be_applied_by_another_process(lake):
    tool = Tool()
    wants(lake, people(3))
    made = sync.make_plan(lake, AUDIENCE, tool, AS_OF)
    loaded = Plan.load(lake, "tool", "vip", made.plan_id)
    assert loaded == made and loaded.read_back is None
    assert sync.apply(lake, loaded, tool).added == 3


def test_old_plans_are_dropped(lake):
    tool = Tool()
    for number in range(KEPT_PLANS + 3):
        wants(lake, people(3), score=number)
        sync.make_plan(lake, AUDIENCE, tool, AS_OF + timedelta(days=number))
    assert len(lake.files("plans/tool/vip")) == KEPT_PLANS
    assert len(list(Path(lake.path("plans/tool/vip")).glob("*.json"))) == KEPT_PLANS


@pytest.mark.parametrize("what", ["audience", "consents", "receipts"])
def test_apply_refuses_when_the_world_has_moved(lake, what):
    tool = Tool()
    wants(lake, people(3))
    plan = sync.make_plan(lake, AUDIENCE, tool, AS_OF)
    if what == "audience":
        write_audience(lake, "vip", {"c00000": 0.5})
    elif what == "consents":
        write_people(lake, people(2))
    else:
        push(lake, tool)
    sent = list(tool.sent)
    with pytest.raises(sync.WorldMoved, match="plan again"):
        sync.apply(lake, plan, tool)
    assert tool.sent == sent


def test_missing_payload_column_is_named(lake):
    wants(lake, people(1))
    audience = Audience(name="vip", fields={"VALUE": "lifetime_value"})
    with pytest.raises(PlanError, match="lifetime_value"):
        sync.make_plan(lake, audience, Tool(), AS_OF)


# --- who is blocked, and why


def test_address_shared_with_somebody_who_said_no_is_not_used(lake):
    tool, persons = Tool(), people(2)
    persons[1].email, persons[1].email_consent = persons[0].email, "denied"
    write_people(lake, persons)
    write_audience(lake, "vip", {"c00000": 0.5})
    result = push(lake, tool)
    assert result.blocked == {"shared_with_denied": 1} and tool.members == {}


def test_one_address_of_two_customers_is_sent_once(lake):
    tool, persons = Tool(), people(2)
    persons[1].email = persons[0].email.upper()
    wants(lake, persons)
    result = push(lake, tool)
    assert result.blocked == {"duplicate_identifier": 1} and len(tool.members) == 1
    write_audience(lake, "vip", {"c00001": 0.5})
    again = push(lake, tool)
    assert (again.removed, len(tool.members)) == (0, 1), "the other customer keeps the address in"


def test_grant_without_evidence_is_no_grant(lake):
    tool = Tool()
    wants(lake, people(2))
    with lake.connect() as connection, lake.commit("marts/consents", "data") as path:
        source = lake.glob("marts/consents")
        connection.execute(f"COPY (SELECT * REPLACE ('' AS evidence) FROM read_parquet('{source}')) TO '{path}'")
    assert push(lake, tool).blocked == {"no_evidence": 2}


def test_consent_for_another_purpose_or_channel_does_not_count(lake):
    tool, persons = Tool(), people(2)
    persons[0].email_consent = None  # said yes to ads only
    wants(lake, persons)
    assert push(lake, tool).blocked == {"no_consent": 1}
    survey = Audience(name="vip", purpose="survey", maximum_removed_share=None)
    assert push(lake, tool, survey).blocked == {"no_consent": 2} and tool.members == {}


# --- guards


def filled(lake, count=10, **guards):
    tool = Tool()
    wants(lake, people(count))
    push(lake, tool)
    return tool, Audience(name="vip", fields=AUDIENCE.fields, **guards)


@pytest.mark.parametrize(
    ("persons", "guards", "message"),
    [
        (people(4), {"maximum_removed_share": 0.5}, "6 people would be removed, 60%"),
        (people(14), {"maximum_added_share": 0.3}, "4 people would be added, 40%"),
        (people(9), {"minimum_size": 10}, "fewer than its minimum size 10"),
        ([], {"minimum_size": 0, "maximum_removed_share": None}, "empty while 10 people are members"),
    ],
)
def test_guard_trips_and_nothing_is_sent(lake, persons, guards, message):
    tool, audience = filled(lake, **guards)
    sent, members = list(tool.sent), dict(tool.members)
    wants(lake, persons)
    with pytest.raises(GuardTripped, match=message):
        push(lake, tool, audience)
    assert (tool.sent, tool.members) == (sent, members)


def test_change_within_the_guards_passes(lake):
    tool, audience = filled(lake, maximum_removed_share=0.5, maximum_added_share=0.1)
    wants(lake, people(6, start=5))
    assert push(lake, tool, audience).is_in_step


def test_first_fill_has_no_share(lake):
    tool = Tool()
    wants(lake, people(10))
    assert push(lake, tool, Audience(name="vip", maximum_added_share=0.01)).added == 10


def test_unknown_denominator_trips(lake):
    tool = Tool(lists_members=False)
    tool.members = {str(n): "" for n in range(5)}  # the vendor counts people of whom no receipt tells
    wants(lake, people(3))
    with pytest.raises(GuardTripped, match="no receipt"):
        push(lake, tool)
    assert tool.sent == []


def test_stale_mart_trips(lake):
    tool, audience = filled(lake, maximum_age_hours=2)
    old = time.time() - 3 * 3600
    os.utime(lake.path("marts/vip/data.parquet"), (old, old))
    with pytest.raises(GuardTripped, match="3 hours old"):
        push(lake, tool, audience)


@pytest.mark.parametrize("missing", ["marts/vip", "marts/consents", "marts/contact_points"])
def test_missing_mart_trips_and_is_named(lake, missing):
    wants(lake, people(2))
    lake.remove(f"{missing}/data.parquet")
    with pytest.raises(GuardTripped, match=missing):
        push(lake, Tool())


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (None, "has no card"),
        (
            {"promoted": False, "reason": "worse than recency", "trained_at": "2026-10-01T00:00:00"},
            "worse than recency",
        ),
        ({"in_use_passes": False, "promoted": True, "reason": "no better", "trained_at": "2026-10-01"}, "no better"),
        ({"in_use_passes": True, "reason": "no snapshots", "trained_at": None}, "no snapshots"),
        ({"promoted": True, "trained_at": "2026-08-01T00:00:00+00:00"}, "over 35 days"),
    ],
)
def test_audience_of_a_model_nobody_vouches_for_is_not_pushed(lake, card, message):
    wants(lake, people(2))
    if card:
        lake.write_json("scores/churn/card.json", card)
    audience = Audience(name="vip", requires_models=("churn",))
    with pytest.raises(GuardTripped, match=message):
        push(lake, Tool(), audience)
    in_use = {"promoted": False, "in_use_passes": True, "trained_at": "2026-10-18T15:00:00"}
    lake.write_json("scores/churn/card.json", in_use)
    assert push(lake, Tool(), audience).added == 2


# --- one at a time


def test_two_pushes_of_one_audience_do_not_overlap(lake):
    tool = Tool()
    wants(lake, people(2))
    plan = sync.make_plan(lake, AUDIENCE, tool, AS_OF)
    with apply_lock(lake, "tool", "vip"), pytest.raises(ApplyInProgress):
        sync.apply(lake, plan, tool)
    assert tool.sent == []
    with apply_lock(lake, "tool", "other"):
        assert sync.apply(lake, plan, tool).added == 2


def test_lock_of_a_killed_process_is_free(lake):
    code = (
        "import os, signal; from connectors.lake import Lake; from connectors.guards import apply_lock\n"
        f"with apply_lock(Lake({lake.root!r}), 'tool', 'vip'): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == -9
    with apply_lock(lake, "tool", "vip"):
        pass


# --- rows that fail


def test_bad_row_is_isolated_by_halving_and_the_rest_goes_in(lake):
    tool = Tool()
    tool.bad_addresses = {"person2@shop.example"}
    wants(lake, people(10))
    result = push(lake, tool)
    assert (result.added, result.rejected, result.confirmed) == (9, 1, 9)
    assert result.blocked == {"rejected": 1} and result.is_in_step


def test_rejected_row_waits_until_it_changes_or_a_week_has_passed(lake):
    tool, persons = Tool(), people(10)
    tool.bad_addresses = {"person2@shop.example"}
    wants(lake, persons)
    push(lake, tool)
    sent = len(tool.sent)
    result = push(lake, tool)
    assert result.blocked == {"rejected_before": 1} and len(tool.sent) == sent and result.is_in_step
    assert push(lake, tool, as_of=AS_OF + timedelta(days=8)).rejected == 1
    tool.bad_addresses = set()
    wants(lake, persons, score=0.75)
    assert push(lake, tool, as_of=AS_OF + timedelta(days=8)).added == 1


def test_first_run_with_every_row_rejected_is_not_green(lake):
    """Multiwoven#923: all rows rejected, the run shown green, the rows skipped for ever after."""
    tool, persons = Tool(), people(4)
    tool.bad_addresses = {person.email for person in persons}
    wants(lake, persons)
    result = push(lake, tool)
    assert (result.rejected, result.confirmed, result.blocked) == (4, 0, {"rejected": 4})
    again = push(lake, tool)
    assert again.blocked == {"rejected_before": 4}, "still told, every run"


def test_lost_answer_is_asked_after_where_the_vendor_lists_members(lake):
    tool = Tool(idempotent_repeat=False)
    tool.lost_answers = 1
    wants(lake, people(3))
    with pytest.raises(OutcomeUnknown):
        push(lake, tool)
    result = push(lake, tool)
    assert (result.added, result.confirmed, len(tool.sent)) == (0, 3, 1), "they were in already: nothing is repeated"


def test_unknown_is_never_sent_again_where_a_repeat_would_act_twice(lake):
    tool = Tool(idempotent_repeat=False, lists_members=False)
    tool.lost_answers = 1
    wants(lake, people(6))
    with pytest.raises(OutcomeUnknown):
        push(lake, tool)
    result = push(lake, tool)
    assert (result.unknown, result.added) == (4, 2) and result.blocked == {"outcome_unknown": 4}
    assert len({address for batch in tool.sent for address in batch}) == sum(map(len, tool.sent)) == 6


def test_lost_answer_is_repeated_where_that_is_harmless(lake):
    tool = Tool(lists_members=False)
    tool.lost_answers = 1
    wants(lake, people(3))
    with pytest.raises(OutcomeUnknown):
        push(lake, tool)
    result = push(lake, tool)
    assert (result.added, result.confirmed, result.unknown) == (3, 3, 0) and result.is_in_step


# --- membership and payload


def test_nobody_is_removed_whom_we_did_not_add(lake):
    """drt#686: a mirror deleted rows the application had written."""
    tool, persons = Tool(), people(4)
    by_hand = {MAILCHIMP_SUBSCRIBER_HASH(p.email): p.email for p in (*people(2, start=50), persons[0])}
    tool.members = dict(by_hand)
    wants(lake, persons)
    result = push(lake, tool, Audience(name="vip"))
    assert (result.added, result.confirmed) == (3, 4), "one was there already"
    write_audience(lake, "vip", {"c00001": 0.5})
    push(lake, tool, Audience(name="vip", maximum_removed_share=None))
    assert set(by_hand) < set(tool.members) and len(tool.members) == 4


def test_person_put_in_by_hand_stays_theirs_after_an_update_of_ours(lake):
    tool, persons = Tool(), people(2)
    key = MAILCHIMP_SUBSCRIBER_HASH(persons[0].email)
    tool.members = {key: persons[0].email}
    wants(lake, persons)
    assert push(lake, tool).updated == 1
    write_audience(lake, "vip", {"c00001": 0.5})
    push(lake, tool)
    assert key in tool.members


def test_person_taken_out_by_hand_comes_back_while_wanted(lake):
    tool, _ = filled(lake)
    tool.members.popitem()
    assert push(lake, tool).added == 1 and len(tool.members) == 10


def test_only_changed_payloads_are_sent(lake):
    tool, _ = filled(lake)
    scores = {f"c{n:05d}": 0.5 for n in range(10)} | {"c00003": 0.75, "c00004": 0.500001}
    write_audience(lake, "vip", scores)
    sent = len(tool.sent)
    assert push(lake, tool).updated == 1, "a change in the sixth digit is none"
    assert tool.sent[sent:] == [["person3@shop.example"]]


def test_changed_address_is_a_departure_and_an_arrival(lake):
    tool, _ = filled(lake, count=4)
    persons = people(4)
    persons[0].email = "moved@shop.example"
    wants(lake, persons)
    result = push(lake, tool)
    assert (result.added, result.removed) == (1, 1)
    assert "moved@shop.example" in tool.members.values() and "person0@shop.example" not in tool.members.values()


def test_missing_value_clears_the_vendors_field(lake):
    with empty_sandbox(Path(lake.root).parent) as sandbox:
        empty(sandbox)
        destination = configured(sandbox.environment())["mailchimp"]
        put_on_list(sandbox, "person0@shop.example", "subscribed")
        for score, shown in ((0.5, 0.5), (None, "")):
            wants(lake, people(1), score=score)
            push(lake, destination)
            stored = sandbox.execute("select json_extract_string(merge_fields, 'CHURN') from mailchimp_members")
            assert stored == [(str(shown),)]


def test_receipts_stay_one_row_a_person_in_one_file(lake):
    tool, persons = Tool(), people(12)
    for round_ in range(6):
        wants(lake, persons[round_ : round_ + 6], score=round_)
        push(lake, tool, Audience(name="vip", fields=AUDIENCE.fields, maximum_removed_share=None))
    files = lake.files("receipts/tool/vip")
    with lake.connect() as connection:
        rows = connection.execute(f"SELECT count(*), count(DISTINCT member_key) FROM '{files[0]}'").fetchone()
        states = connection.execute(f"SELECT DISTINCT action, state FROM '{files[0]}'").fetchall()
    assert len(files) == 1 and rows == (11, 11)
    assert {state for _, state in states} == {"confirmed"}
