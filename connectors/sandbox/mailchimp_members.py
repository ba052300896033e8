"""What Mailchimp does to a list member when somebody writes: statuses, compliance states, refusals, merge fields.

Rules as documented for the Marketing API 3.0; where the documents are silent the stricter behaviour is played, so that
code which passes here does not depend on kindness.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional")

COLUMNS = pa.schema(
    [
        ("email", pa.string()),
        ("status", pa.string()),
        ("full_name", pa.string()),
        ("merge_fields", pa.string()),
        ("unsubscribe_reason", pa.string()),
        ("timestamp_signup", pa.timestamp("us")),
        ("timestamp_opt", pa.timestamp("us")),
        ("last_changed", pa.timestamp("us")),
        ("self_unsubscribed", pa.bool_()),
    ]
)

_ADDRESS = re.compile(r"[^@\s,;<>()\"]+@[^@\s,;<>()\".]+(\.[^@\s,;<>()\".]+)+")
_ROLES = {"admin", "administrator", "postmaster", "hostmaster", "webmaster", "abuse", "noreply", "no-reply", "spam"}
_FAKE_DOMAINS = {"fake.com", "test.com", "gmial.com", "gmai.com", "gamil.com", "hotmial.com", "yaho.com"}


class Problem(Exception):
    """An error answer, `application/problem+json`."""

    def __init__(self, status: int, title: str, detail: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(title)
        self.status, self.title, self.detail, self.errors = status, title, detail, errors

    def body(self) -> dict[str, Any]:
        return {
            "type": "https://mailchimp.com/developer/marketing/docs/errors/",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": hashlib.sha1(f"{self.title}{self.detail}".encode(), usedforsecurity=False).hexdigest()[:32],
            **({"errors": self.errors} if self.errors else {}),
        }


def invalid(detail: str, field: str = "") -> Problem:
    return Problem(400, "Invalid Resource", detail, [{"field": field, "message": detail}])


def subscriber_hash(address: str) -> str:
    return hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()


def hash_in_path(segment: str) -> str:
    """The path accepts the hash, the address itself or the contact id; only the first two are played."""
    return subscriber_hash(segment) if "@" in segment else segment.lower()


class Roll:
    """The members one request touches: read in one query, changed in memory, written back in one."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, now: datetime, merge_types: dict[str, str]) -> None:
        self._cursor, self._now, self._merge_types = cursor, now, merge_types
        self._changed: set[str] = set()
        self.members: dict[str, dict[str, Any]] = {}
        self.forgotten: set[str] = set()

    def load(self, hashes: Iterable[str]) -> Roll:
        wanted = list(hashes)
        found = self._cursor.execute(
            "select * from mailchimp_members where md5(lower(email)) in (select unnest(?))", [wanted]
        ).fetchall()
        for row in found:
            member = dict(zip(COLUMNS.names, row, strict=True))
            member["merge_fields"] = json.loads(member["merge_fields"] or "{}")
            self.members[subscriber_hash(member["email"])] = member
        forgotten = self._cursor.execute(
            "select hash from mailchimp_forgotten where hash in (select unnest(?))", [wanted]
        ).fetchall()
        self.forgotten |= {row[0] for row in forgotten}
        return self

    def save(self) -> None:
        if not self._changed:
            return
        hashes = sorted(self._changed)
        self._cursor.execute("delete from mailchimp_members where md5(lower(email)) in (select unnest(?))", [hashes])
        rows = [
            {**self.members[key], "merge_fields": json.dumps(self.members[key]["merge_fields"], ensure_ascii=False)}
            for key in hashes
            if key in self.members
        ]
        if rows:
            changed_members = pa.Table.from_pylist(rows, schema=COLUMNS)
            self._cursor.register("changed_members", changed_members)
            self._cursor.execute("insert into mailchimp_members select * from changed_members")
            self._cursor.unregister("changed_members")

    def put(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create (with `status_if_new`) or update; only an explicit `status` changes an existing status."""
        existing = self.members.get(key)
        if existing is None or existing["status"] == "archived":
            return self.create(body, body.get("status") or body.get("status_if_new"), existing)
        return self.update(key, body)

    def create(
        self, body: dict[str, Any], status: str | None, archived: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        address = _valid_address(body.get("email_address"))
        key = subscriber_hash(address)
        if key in self.forgotten:
            raise Problem(
                400,
                "Forgotten Email Not Subscribed",
                f"{address} was permanently deleted and cannot be re-imported. "
                "The contact must re-subscribe to get back on the list.",
            )
        if status not in STATUSES:
            raise invalid("Please provide a status of subscribed, unsubscribed, cleaned, pending or transactional.")
        if archived and archived["self_unsubscribed"] and status == "subscribed":
            raise _in_compliance_state(address)
        member = archived or dict.fromkeys(COLUMNS.names) | {"merge_fields": {}, "self_unsubscribed": False}
        member |= {"email": address, "status": status, "timestamp_signup": self._now, "last_changed": self._now}
        member["timestamp_opt"] = self._now if status == "subscribed" else None
        self._merge(member, body.get("merge_fields") or {})
        self.members[key] = member
        self._changed.add(key)
        return member

    def update(self, key: str, body: dict[str, Any]) -> dict[str, Any]:
        member = self.members[key]
        before = (member["status"], dict(member["merge_fields"]), member["email"])
        status = body.get("status")
        if status is not None:
            if status not in STATUSES:
                raise invalid(f"Value must be one of {', '.join(STATUSES)}.", "status")
            is_compliance = member["status"] == "cleaned" or (
                member["status"] == "unsubscribed" and member["self_unsubscribed"]
            )
            if status == "subscribed" and is_compliance:
                raise _in_compliance_state(member["email"])
            member["status"] = status
        self._merge(member, body.get("merge_fields") or {})
        if (member["status"], member["merge_fields"], member["email"]) != before:
            member["last_changed"] = self._now
            self._changed.add(key)
        return member

    def archive(self, key: str) -> None:
        self.members[key] |= {"status": "archived", "last_changed": self._now}
        self._changed.add(key)

    def forget(self, key: str) -> None:
        del self.members[key]
        self._changed.add(key)
        self._cursor.execute("insert into mailchimp_forgotten values (?)", [key])

    def _merge(self, member: dict[str, Any], given: dict[str, Any]) -> None:
        for tag, value in given.items():
            kind = self._merge_types.get(tag)
            if kind is None:
                continue  # a field the list does not have is dropped without a word
            if kind == "number" and value != "" and not _is_number(value):
                raise Problem(
                    400,
                    "Invalid Resource",
                    "Your merge fields were invalid.",
                    [{"field": tag, "message": "Please enter a number"}],
                )
            member["merge_fields"] = {**member["merge_fields"], tag: value}
        names = (str(member["merge_fields"].get(tag) or "") for tag in ("FNAME", "LNAME"))
        member["full_name"] = " ".join(filter(None, names)) or member["full_name"] or ""


def _valid_address(address: Any) -> str:
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address.strip()):
        raise invalid("Please provide a valid email address.", "email_address")
    local, _, domain = address.strip().lower().rpartition("@")
    if local in _ROLES or domain in _FAKE_DOMAINS:
        raise Problem(400, "Invalid Resource", f"{address} looks fake or invalid, please enter a real email address.")
    return address.strip()


def _in_compliance_state(address: str) -> Problem:
    return Problem(
        400,
        "Member In Compliance State",
        f"{address} is already a list member in compliance state due to unsubscribe, bounce, or compliance review "
        "and cannot be subscribed.",
    )


def _is_number(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
