"""A vendor in memory, for what the sandboxed ones cannot be made to do: refuse a row, lose an answer, list nobody."""

from __future__ import annotations

import pyarrow as pa

from connectors.audience import MEMBERSHIP, OPT_OUTS, BatchRefused, Count, Outcome
from connectors.http import Metrics, OutcomeUnknown
from connectors.identifiers import MAILCHIMP_SUBSCRIBER_HASH


class Tool:
    """An e-mail tool in memory: `members` are in its one audience, `statuses` may not be reached."""

    name = "tool"
    channel = "email"
    identifier_types: tuple[str, ...] = ("email",)
    member_key = MAILCHIMP_SUBSCRIBER_HASH.sql("email")
    identifiers = {"email": "email"}  # noqa: RUF012  # a constant
    takes_fields = True
    batch_size = 4
    removal_batch_size = 4

    def __init__(self, idempotent_repeat=True, lists_members=True):
        self.idempotent_repeat, self.lists_members = idempotent_repeat, lists_members
        self.members, self.sent, self.statuses = {}, [], {}
        self.bad_addresses, self.lost_answers = set(), 0

    def find_audience(self, audience, known_id):
        return "1"

    def ensure_audience(self, audience, known_id, field_types):
        return "1"

    def read_back(self, audience_id):
        return pa.table([list(self.members), list(self.members.values())], schema=MEMBERSHIP)

    def opt_outs(self):
        rows = [{"key": key, "address": "", "status": status} for key, status in self.statuses.items()]
        return pa.Table.from_pylist(rows, schema=OPT_OUTS)

    def add(self, audience_id, members):
        self.sent.append([member.identifiers["email"] for member in members])
        if self.bad_addresses & set(self.sent[-1]):
            raise BatchRefused("bad_row")
        self.members |= {member.key: member.identifiers["email"] for member in members}
        if self.lost_answers:
            self.lost_answers -= 1
            raise OutcomeUnknown("tool: the answer was lost")
        return [Outcome(member.key, "accepted") for member in members]

    update = add

    def remove(self, audience_id, departures):
        for departure in departures:
            self.members.pop(departure.key, None)
        return [Outcome(departure.key, "accepted") for departure in departures]

    def count(self, audience_id):
        return Count(len(self.members), len(self.members), True)

    def snapshot(self):
        return Metrics()
