"""Fills the shop's e-mail tool: who is on the list, who left it there, who bounced, and when."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.sandbox.accounts import Account
from connectors.sandbox.chance import Chance
from connectors.sandbox.clock import WORLD_NOW, moment
from connectors.sandbox.people import Person

# How likely an account of this state in the shop is on the list, and then in which status there.
_ON_LIST = {"SUBSCRIBED": 0.62, "UNSUBSCRIBED": 0.4, "NOT_SUBSCRIBED": 0.12, "PENDING": 0.5, "INVALID": 0.25}
_STATUSES = {
    "SUBSCRIBED": {"subscribed": 77, "unsubscribed": 10, "cleaned": 4, "pending": 3, "transactional": 2, "archived": 4},
    "UNSUBSCRIBED": {"unsubscribed": 55, "subscribed": 25, "archived": 12, "cleaned": 8},
    "NOT_SUBSCRIBED": {"transactional": 60, "subscribed": 15, "pending": 15, "unsubscribed": 10},
    "PENDING": {"pending": 60, "subscribed": 25, "transactional": 15},
    "INVALID": {"cleaned": 100},
}
_REASONS = (
    "N/A (Unsubscribed by an admin)",
    "No longer interested",
    "Too many emails",
    "Did not sign up",
    "Inappropriate",
)


@dataclass
class Member:
    email: str
    status: str
    full_name: str
    merge_fields: str
    unsubscribe_reason: str | None
    timestamp_signup: datetime | None
    timestamp_opt: datetime | None
    last_changed: datetime
    self_unsubscribed: bool


def fill_list(seed: int, people: list[Person], accounts: list[Account]) -> list[Member]:
    """The list's members, one per lower-cased address."""
    members: dict[str, Member] = {}
    for account in accounts:
        chance = Chance(seed, "member", account.id)
        if account.email is None or not chance.happens(_ON_LIST[account.email_marketing_state]):
            continue
        status = chance.weighted(_STATUSES[account.email_marketing_state])
        # signed up with the account; what happened later may be before or after the shop's own last word
        signed_up_at = account.created_at + timedelta(minutes=chance.whole(1, 90))
        members[account.email.lower()] = _member(
            chance,
            account.email,
            account.first_name,
            account.last_name,
            status,
            min(signed_up_at, WORLD_NOW - timedelta(hours=8)),
        )
    for person in people:
        chance = Chance(seed, "member lead", person.person_id)
        is_known_lead = person.role == "lead" and person.in_crm and person.email.lower() not in members
        if is_known_lead and chance.happens(0.12):
            status = chance.weighted(_STATUSES["SUBSCRIBED"])
            signed_up_at = moment(WORLD_NOW - timedelta(days=300), WORLD_NOW - timedelta(days=2), chance.number())
            members[person.email.lower()] = _member(
                chance, person.email, person.given_name, person.family_name, status, signed_up_at
            )
    return list(members.values())


def _member(chance: Chance, email: str, first: str, last: str, status: str, signed_up_at: datetime) -> Member:
    changed_at = moment(signed_up_at, WORLD_NOW - timedelta(hours=4), chance.number() ** 0.7)
    opted_in = status not in ("pending", "transactional")
    if status in ("subscribed", "transactional") and chance.happens(0.6):
        changed_at = signed_up_at + timedelta(minutes=5)
    by_person = status == "unsubscribed" and chance.happens(0.8)
    reason = None
    if status == "unsubscribed":
        reason = chance.pick(_REASONS[1:]) if by_person else _REASONS[0]
    return Member(
        email, status, f"{first} {last}".strip(), json.dumps({"FNAME": first, "LNAME": last}, ensure_ascii=False),
        reason, signed_up_at, signed_up_at + timedelta(minutes=3) if opted_in else None, changed_at, by_person,
    )  # fmt: skip
