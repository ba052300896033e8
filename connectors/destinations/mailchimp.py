"""Mailchimp (Marketing API 3.0): one static segment, shown as a tag, per audience; scores as merge fields.

What the vendor does that this file answers to:
- `status: subscribed` on a member who left signs the person up again (mc-woocommerce#1264: thousands). So this file
  never writes a status on somebody who is on the list, and creates newcomers as `transactional` only.
- The batch call has no `status_if_new`; with `update_existing` it changes statuses. It is used for newcomers only, and
  people already on the list get their fields by PUT through `/batches`.
- A 200 carries errors per row, by address and not by position.
- Segments show only subscribed members unless asked, and never the pending and the archived.
- A 403 without a body is throttling, not permission.
"""

from __future__ import annotations

import base64
import json
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import requests
from pydantic import Field, SecretStr

from connectors.audience import (
    MEMBERSHIP,
    OPT_OUTS,
    Audience,
    BatchRefused,
    Count,
    Departure,
    FieldType,
    Member,
    Outcome,
)
from connectors.http import FixedHeader, Metrics, OutcomeUnknown, RequestRefused, Session, budget_of
from connectors.identifiers import MAILCHIMP_ADDRESS, MAILCHIMP_SUBSCRIBER_HASH
from connectors.settings import SettingsError, VendorConfig, vendor_settings

PAGE = 1000
# Pages overlap, because a member who leaves while we read moves everybody behind by one place.
PAGE_OVERLAP = 20
IN_STABLE_ORDER = {"sort_field": "timestamp_signup", "sort_dir": "ASC"}
LONGEST_TAG = 10
UNREACHABLE = ("unsubscribed", "cleaned", "pending", "archived")
BATCH_SECONDS = 900.0
"""How long an asynchronous batch may take before its outcome counts as unknown."""

# Words of the vendor's messages (which hold addresses) → reasons that hold none.
REASONS = {
    "compliance state": "compliance_state",
    "permanently deleted": "forgotten",
    "fake or invalid": "looks_fake",
    "valid email": "invalid_address",
    "merge fields": "invalid_fields",
    "more than once": "repeated_in_batch",
}


class MailchimpConfig(VendorConfig):
    """An API key of the account and the one list (Mailchimp says audience) that everybody is on."""

    model_config = vendor_settings("MAILCHIMP_")

    api_key: SecretStr = Field(description="Mailchimp API key, ending in its data centre (-us21)")
    list_id: str = Field(description="Mailchimp audience (list) that members and tags live in")
    base_url: str | None = Field(None, description="Another address of the API, for the sandbox")

    @property
    def root(self) -> str:
        """The API's address; the data centre is the part of the key after the last hyphen."""
        if self.base_url:
            return f"{self.base_url.rstrip('/')}/3.0"
        _, hyphen, data_centre = self.api_key.get_secret_value().rpartition("-")
        if not hyphen:
            raise SettingsError("MAILCHIMP_API_KEY has no data centre at its end (such as -us21); see .env.example")
        return f"https://{data_centre}.api.mailchimp.com/3.0"


class Mailchimp:
    """Audiences as tags of one Mailchimp list."""

    name = "mailchimp"
    channel = "email"
    identifier_types: tuple[str, ...] = ("email",)
    member_key = MAILCHIMP_SUBSCRIBER_HASH.sql("email")
    identifiers: Mapping[str, str] = {"email_address": MAILCHIMP_ADDRESS.sql("email")}  # a constant
    takes_fields = True
    lists_members = True
    batch_size = 500
    removal_batch_size = 500
    idempotent_repeat = True

    def __init__(self, config: MailchimpConfig) -> None:
        key = config.api_key.get_secret_value()
        basic = "Basic " + base64.b64encode(f"any:{key}".encode()).decode()
        self._list = f"{config.root}/lists/{config.list_id}"
        self._root = config.root
        self._list_id = config.list_id
        self._session = Session(
            "mailchimp",
            FixedHeader("MAILCHIMP_API_KEY", "Authorization", basic, key),
            # Ten simultaneous connections an account, over all its applications.
            budget=budget_of(f"mailchimp {config.root} {key}", concurrency=8),
            throttled=_throttled,
            read_seconds=130.0,
        )
        self._opt_outs_lock = threading.Lock()
        self._unreachable: dict[str, tuple[str, str]] = {}
        self._unreachable_since: str | None = None

    def snapshot(self) -> Metrics:
        return self._session.snapshot()

    def find_audience(self, audience: Audience, known_id: str | None) -> str | None:
        if known_id is not None:
            try:
                self._session.json("GET", f"{self._list}/segments/{known_id}", params={"fields": "id"})
            except RequestRefused as refused:
                if refused.status != 404:
                    raise
            else:
                return known_id
        found = self._session.json("GET", f"{self._list}/tag-search", params={"name": audience.name})
        # The search is by prefix and ignores case.
        return next((str(tag["id"]) for tag in found["tags"] if tag["name"] == audience.name), None)

    def ensure_audience(self, audience: Audience, known_id: str | None, field_types: Mapping[str, FieldType]) -> str:
        self._ensure_fields(audience, field_types)
        found = self.find_audience(audience, known_id)
        if found is not None:
            return found
        try:
            made = self._session.json(
                "POST",
                f"{self._list}/segments",
                params={"fields": "id"},
                json_body={"name": audience.name, "static_segment": []},
            )
        except RequestRefused:
            # Made by an attempt whose answer was lost, or by somebody else this very second.
            found = self.find_audience(audience, None)
            if found is None:
                raise
            return found
        return str(made["id"])

    def read_back(self, audience_id: str) -> pa.Table:
        everybody = {f"include_{status}": "true" for status in ("cleaned", "transactional", "unsubscribed")}
        members = {
            member["id"]: member["email_address"]
            for member in self._pages(f"{self._list}/segments/{audience_id}/members", everybody)
        }
        return pa.table([list(members), list(members.values())], schema=MEMBERSHIP)

    def opt_outs(self) -> pa.Table:
        """All of them at first, then what has changed since; people who may be reached again leave the list."""
        with self._opt_outs_lock:
            if self._unreachable_since is None:
                for status in UNREACHABLE:
                    self._note(self._pages(f"{self._list}/members", {**IN_STABLE_ORDER, "status": status}))
                self._unreachable_since = self._unreachable_since or "1970-01-01T00:00:00+00:00"
            else:
                since = {**IN_STABLE_ORDER, "since_last_changed": self._unreachable_since}
                # Archived members are listed only when asked for.
                for more in ({}, {"status": "archived"}):
                    self._note(self._pages(f"{self._list}/members", {**since, **more}))
            rows = [{"key": key, "address": who, "status": status} for key, (who, status) in self._unreachable.items()]
        return pa.Table.from_pylist(rows, schema=OPT_OUTS)

    def add(self, audience_id: str, members: Sequence[Member]) -> list[Outcome]:
        if not members:
            return []
        outcomes = self._create(members)
        known = [member for member in members if outcomes[member.key].reason == "exists"]
        if any(member.fields for member in known):
            outcomes |= self._write_fields(known)
        reachable = {m.key: m.identifiers["email_address"] for m in members if outcomes[m.key].state == "accepted"}
        outcomes |= self._edit_segment(audience_id, "members_to_add", reachable)
        return [Outcome(o.key, o.state, "" if o.state == "accepted" else o.reason) for o in outcomes.values()]

    def update(self, audience_id: str, members: Sequence[Member]) -> list[Outcome]:
        return list(self._write_fields(members).values()) if members else []

    def remove(self, audience_id: str, departures: Sequence[Departure]) -> list[Outcome]:
        addresses = {departure.key: departure.address or "" for departure in departures}
        return list(self._edit_segment(audience_id, "members_to_remove", addresses).values())

    def count(self, audience_id: str) -> Count:
        parameters = {f"include_{status}": "true" for status in ("cleaned", "transactional", "unsubscribed")}
        segment = self._session.json(
            "GET", f"{self._list}/segments/{audience_id}", params={"fields": "member_count", **parameters}
        )
        return Count(segment["member_count"], segment["member_count"], is_settled=True)

    def _note(self, members: Iterator[dict[str, Any]]) -> None:
        for member in members:
            if member["status"] in UNREACHABLE:
                self._unreachable[member["id"]] = (member["email_address"], member["status"])
            else:
                self._unreachable.pop(member["id"], None)
            self._unreachable_since = max(self._unreachable_since or "", member["last_changed"])

    def _pages(self, url: str, parameters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        selected = ",".join(f"members.{name}" for name in ("id", "email_address", "status", "last_changed"))
        offset = 0
        while True:
            page = self._session.json(
                "GET",
                url,
                params={
                    **parameters,
                    "fields": f"{selected},total_items",
                    "count": PAGE,
                    "offset": offset,
                },
            )
            yield from page["members"]
            if len(page["members"]) < PAGE:
                return
            offset += PAGE - PAGE_OVERLAP

    def _ensure_fields(self, audience: Audience, field_types: Mapping[str, FieldType]) -> None:
        if not field_types:
            return
        answer = self._session.json(
            "GET", f"{self._list}/merge-fields", params={"fields": "merge_fields.tag", "count": PAGE}
        )
        existing = {field["tag"] for field in answer["merge_fields"]}
        for tag, kind in field_types.items():
            if tag in existing:
                continue
            if len(tag) > LONGEST_TAG or tag != tag.upper():
                raise SettingsError(
                    f"audience {audience.name}: {tag} cannot be a Mailchimp merge tag; "
                    f"use at most {LONGEST_TAG} capital letters and digits"
                )
            try:
                self._session.json(
                    "POST",
                    f"{self._list}/merge-fields",
                    params={"fields": "merge_id"},
                    json_body={"name": tag, "tag": tag, "type": kind, "required": False, "public": False},
                )
            except RequestRefused as refused:
                if "already exists" not in str(refused):  # an attempt whose answer was lost made it
                    raise

    def _create(self, members: Sequence[Member]) -> dict[str, Outcome]:
        """Put newcomers on the list as transactional; reason `exists` for those who are on it in any status."""
        rows = [
            {
                "email_address": member.identifiers["email_address"],
                "status": "transactional",
                "merge_fields": _merge_fields(member),
            }
            for member in members
        ]
        answer = self._whole_batch(
            self._list,
            {"members": rows, "update_existing": False, "sync_tags": False},
            {
                "skip_merge_validation": "true",
                "skip_duplicate_check": "true",
                "fields": "errors,total_created,total_updated,error_count",
            },
        )
        outcomes = {member.key: Outcome(member.key, "accepted") for member in members}
        for error in answer["errors"]:
            key = MAILCHIMP_SUBSCRIBER_HASH(error["email_address"]) or ""
            if error.get("error_code") == "ERROR_CONTACT_EXISTS":
                outcomes[key] = Outcome(key, "accepted", "exists")
            else:
                outcomes[key] = Outcome(key, "rejected", _reason(error.get("error", "")))
        return outcomes

    def _write_fields(self, members: Sequence[Member]) -> dict[str, Outcome]:
        """Merge fields of people on the list, by PUT with `status_if_new` only: no status of anybody changes."""
        operations = [
            {
                "method": "PUT",
                "path": f"lists/{self._list_id}/members/{member.key}",
                "operation_id": member.key,
                "params": {"skip_merge_validation": "true"},
                "body": json.dumps(
                    {
                        "email_address": member.identifiers["email_address"],
                        "status_if_new": "transactional",
                        "merge_fields": _merge_fields(member),
                    }
                ),
            }
            for member in members
        ]
        outcomes = {}
        for result in self._run_batch(operations):
            key, refusal = result["operation_id"], ""
            if result["status_code"] >= 400:
                refusal = _reason(str(json.loads(result["response"]).get("detail", "")))
            outcomes[key] = Outcome(key, "rejected" if refusal else "accepted", refusal)
        return outcomes

    def _run_batch(self, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        batch = self._whole_batch(f"{self._root}/batches", {"operations": operations}, {})
        deadline, wait = time.monotonic() + BATCH_SECONDS, 0.1
        while batch["status"] != "finished":
            if time.monotonic() > deadline:
                raise OutcomeUnknown(f"mailchimp batch {batch['id']} did not finish within {BATCH_SECONDS:.0f} s")
            time.sleep(wait)
            wait = min(wait * 2, 10.0)
            batch = self._session.json("GET", f"{self._root}/batches/{batch['id']}")
        with tempfile.TemporaryDirectory(prefix="kizuna-mailchimp-") as folder:
            archive = Path(folder) / "results.tar.gz"
            self._session.download(batch["response_body_url"], archive)
            with tarfile.open(archive) as files:
                entries = [files.extractfile(entry) for entry in files.getmembers() if entry.isfile()]
                return [result for entry in entries if entry for result in json.load(entry)]

    def _edit_segment(self, audience_id: str, action: str, addresses: Mapping[str, str]) -> dict[str, Outcome]:
        if not addresses:
            return {}
        answer = self._whole_batch(
            f"{self._list}/segments/{audience_id}",
            {action: list(addresses.values())},
            {"fields": "errors,total_added,total_removed,error_count"},
        )
        outcomes = {key: Outcome(key, "accepted") for key in addresses}
        for error in answer["errors"]:
            for address in error.get("email_addresses", []):
                key = MAILCHIMP_SUBSCRIBER_HASH(address) or ""
                if key in outcomes:
                    outcomes[key] = Outcome(key, "rejected", _reason(error.get("error", "")))
        return outcomes

    def _whole_batch(self, url: str, body: dict[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
        # Everything sent through here may be repeated: a second create says "exists", a second tag changes nothing.
        try:
            answer: dict[str, Any] = self._session.json("POST", url, params=parameters, json_body=body)
        except RequestRefused as refused:
            if refused.status not in (400, 413, 422):
                raise
            title = refused.answer.get("title", "") if isinstance(refused.answer, dict) else ""
            raise BatchRefused(str(title).lower().replace(" ", "_") or f"http_{refused.status}") from None
        return answer


def _merge_fields(member: Member) -> dict[str, Any]:
    # An empty text clears a merge field; a field left out would keep yesterday's value.
    return {tag: "" if value is None else value for tag, value in member.fields.items()}


def _reason(message: str) -> str:
    return next((reason for words, reason in REASONS.items() if words in message), "refused_by_mailchimp")


def _throttled(response: requests.Response) -> float | None:
    return -1.0 if response.status_code == 403 and not response.content else None
