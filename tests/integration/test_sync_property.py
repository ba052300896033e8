"""Whatever happens in whatever order, an audience ends as declared: a random history against an independent count."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import sync
from connectors.audience import Audience
from connectors.http import OutcomeUnknown
from connectors.identifiers import MAILCHIMP_SUBSCRIBER_HASH
from connectors.lake import Lake
from tests.memory_tool import Tool
from tests.shop import AS_OF, people, write_audience, write_people

AUDIENCE = Audience(
    name="vip",
    fields={"CHURN": "churn_probability"},
    minimum_size=0,
    maximum_added_share=None,
    maximum_removed_share=None,
)
EVERYBODY = people(6)
KEYS = [MAILCHIMP_SUBSCRIBER_HASH(person.email) for person in EVERYBODY]

one_round = st.fixed_dictionaries(
    {
        "wanted": st.sets(st.integers(0, 5), min_size=1),
        "consents": st.lists(st.sampled_from(["granted", "granted", "denied", None]), min_size=6, max_size=6),
        "opted_out": st.sets(st.integers(0, 5), max_size=2),
        "put_in_by_hand": st.sets(st.integers(0, 5), max_size=1),
        "lost_answers": st.integers(0, 2),
        "score": st.sampled_from([0.25, 0.5]),
    }
)


def push(lake, tool):
    return sync.apply(lake, sync.make_plan(lake, AUDIENCE, tool, AS_OF), tool)


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=st.lists(one_round, min_size=1, max_size=3))
def test_audience_is_what_was_wanted_and_allowed_whatever_went_before(history):
    tool, by_hand = Tool(), set()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder) / "lake")
        for happened in history:
            for number in happened["put_in_by_hand"] - {n for n in range(6) if KEYS[n] in tool.members}:
                tool.members[KEYS[number]] = EVERYBODY[number].email
                by_hand.add(number)
            tool.statuses = {KEYS[number]: "unsubscribed" for number in happened["opted_out"]}
            tool.lost_answers = happened["lost_answers"]
            consents = happened["consents"]
            write_people(lake, [replace(p, email_consent=c) for p, c in zip(EVERYBODY, consents, strict=True)])
            write_audience(lake, "vip", {EVERYBODY[n].customer_id: happened["score"] for n in happened["wanted"]})
            result = None
            while result is None:
                try:
                    result = push(lake, tool)
                except OutcomeUnknown:
                    continue
            allowed = {n for n in happened["wanted"] if consents[n] == "granted"} - happened["opted_out"]
            inside = {n for n in range(6) if KEYS[n] in tool.members}
            assert allowed <= inside, "everybody wanted and allowed is in"
            assert inside - allowed <= by_hand, "nobody else is in, but those somebody put in by hand"
            assert result.wanted - sum(result.blocked.values()) == result.confirmed == len(allowed)
            again = push(lake, tool)
            assert (again.added, again.updated, again.removed) == (0, 0, 0)
