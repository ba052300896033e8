"""Consent is a type: no decision, no payload."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.audience import Member
from connectors.consent import ConsentDecision, ConsentMissing

NOW = datetime(2026, 10, 18, 15, tzinfo=UTC)


def granted(channel: str = "email", purpose: str = "marketing") -> ConsentDecision:
    return ConsentDecision(channel, purpose, True, "opted_in", "shopify.customers 1 SUBSCRIBED", NOW)


def member(consent: ConsentDecision, channel: str = "email", purpose: str = "marketing") -> Member:
    return Member("c1", "key", {"email_address": "a@shop.example"}, {}, channel, purpose, consent)


def test_payload_of_somebody_who_said_yes_can_be_built():
    assert member(granted()).customer_id == "c1"


@pytest.mark.parametrize(
    "decision",
    [
        ConsentDecision.unknown("email", "marketing"),
        ConsentDecision("email", "marketing", False, "unsubscribed", "mailchimp.members x unsubscribed", NOW),
    ],
    ids=["unknown", "denied"],
)
def test_payload_without_a_grant_cannot_be_built(decision):
    with pytest.raises(ConsentMissing):
        member(decision)


@pytest.mark.parametrize(("channel", "purpose"), [("ad", "marketing"), ("email", "survey")])
def test_grant_for_one_channel_and_purpose_says_nothing_about_another(channel, purpose):
    with pytest.raises(ConsentMissing):
        member(granted(), channel, purpose)


@pytest.mark.parametrize(("evidence", "decided_at"), [("", NOW), ("somewhere", None)])
def test_grant_without_evidence_or_time_counts_as_no(evidence, decided_at):
    with pytest.raises(ConsentMissing):
        ConsentDecision("email", "marketing", True, "opted_in", evidence, decided_at)


def test_decision_cannot_be_changed_afterwards():
    with pytest.raises(AttributeError):
        ConsentDecision.unknown("email", "marketing").granted = True  # type: ignore[misc]


def test_member_without_identifiers_is_refused():
    with pytest.raises(ValueError, match="identifiers"):
        Member("c1", "key", {}, {}, "email", "marketing", granted())
