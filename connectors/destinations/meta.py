"""Meta custom audiences (Marketing API v26.0): hashed customer-file rows, one custom audience per audience.

What the vendor does that this file answers to:
- Members cannot be read back: what is in an audience is known from receipts, and checked against rounded counts that
  lag behind (sessions and `operation_status` tell when they have settled).
- A 200 counts malformed rows without saying which (`num_invalid_entries`), so such a batch is sent again in halves.
- Adding a person again is harmless, replaying a session is not: every attempt opens a session of its own.
- One audience takes either single keys or several per row (error 2650): this file always sends several.
- Throttling and refused tokens are HTTP 400 with a code. Deleting many rows at once breaks the connection.
- A removal names the person by EXTERN_ID alone. E-mail or phone would also take out relatives who share them.

On the real Meta the count is of people it could match to accounts, so a confirmed number below what was accepted is the
match loss.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import requests
from pydantic import Field, SecretStr

from connectors.audience import OPT_OUTS, Audience, BatchRefused, Count, Departure, FieldType, Member, Outcome
from connectors.http import AuthError, FixedHeader, Metrics, OutcomeUnknown, RequestRefused, Session, budget_of
from connectors.identifiers import META
from connectors.settings import VendorConfig, vendor_settings

VERSION = "v26.0"
SCHEMA = ("EXTERN_ID", "EMAIL", "PHONE", "COUNTRY")
PAGE = 100
ATTEMPTS = 3
LOOK_AGAIN_SECONDS = 0.5
SETTLE_SECONDS = 30.0
"""How long to wait for the vendor's counts; on the real Meta they may take a day, and the next run looks again."""
SETTLED = 200
SLOW_DOWN_AT_PERCENT = 75
SECONDS_PER_PERCENT = 0.2
THROTTLE_CODES = {4, 17, 32, 341, 613, 80000, 80003, 80004}
TOKEN_CODES = {10, 102, 190, 200, 294}


class MetaConfig(VendorConfig):
    """A system user's token and the ad account whose audiences are written."""

    model_config = vendor_settings("META_")

    access_token: SecretStr = Field(description="Meta system-user token with ads_management and ads_read")
    ad_account_id: str = Field(description="Meta ad account that owns the campaigns and the custom audiences (act_...)")
    base_url: str = Field("https://graph.facebook.com", description="Another address of the API, for the sandbox")

    @property
    def account(self) -> str:
        return self.ad_account_id if self.ad_account_id.startswith("act_") else f"act_{self.ad_account_id}"


class Meta:
    """Audiences as customer-file custom audiences of one ad account."""

    name = "meta"
    channel = "ad"
    identifier_types: tuple[str, ...] = ("email", "phone")
    member_key = META["EXTERN_ID"].sql("customer_id")
    identifiers: Mapping[str, str] = {  # a constant
        "EXTERN_ID": META["EXTERN_ID"].sql("customer_id"),
        "EMAIL": META["EMAIL"].sql("email"),
        "PHONE": META["PHONE"].sql("phone"),
        "COUNTRY": META["COUNTRY"].sql("country"),
    }
    takes_fields = False
    lists_members = False
    batch_size = 10_000
    removal_batch_size = 1_500
    idempotent_repeat = True

    def __init__(self, config: MetaConfig) -> None:
        token = config.access_token.get_secret_value()
        self._root = f"{config.base_url.rstrip('/')}/{VERSION}"
        self._account = config.account
        self._session = Session(
            "meta",
            FixedHeader("META_ACCESS_TOKEN", "Authorization", f"Bearer {token}", token),
            budget=budget_of(f"meta {config.base_url} {config.account}", concurrency=4),
            throttled=throttled,
            pace=pace,
        )
        self._open_sessions: dict[str, list[str]] = {}

    def snapshot(self) -> Metrics:
        return self._session.snapshot()

    def find_audience(self, audience: Audience, known_id: str | None) -> str | None:
        if known_id is not None:
            try:
                self._call("GET", known_id, params={"fields": "id"})
            except RequestRefused as refused:
                if code_of(refused.answer) != 100:
                    raise
            else:
                return known_id
        # Names are not unique; the oldest of our kind is the one an earlier run made.
        found = [a["id"] for a in self._audiences() if a["name"] == audience.name and a["subtype"] == "CUSTOM"]
        return min(found, key=int, default=None)

    def ensure_audience(self, audience: Audience, known_id: str | None, field_types: Mapping[str, FieldType]) -> str:
        for attempt in range(ATTEMPTS):
            found = self.find_audience(audience, known_id)
            if found is not None:
                return found
            try:
                made = self._call(
                    "POST",
                    f"{self._account}/customaudiences",
                    is_repeatable=False,
                    json_body={
                        "name": audience.name,
                        "subtype": "CUSTOM",
                        "description": audience.description or f"Audience {audience.name}, kept by Kizuna",
                        "customer_file_source": "USER_PROVIDED_ONLY",
                    },
                )
                return str(made["id"])
            except OutcomeUnknown:
                # The answer was lost: look whether it was made before making a second one.
                if attempt + 1 == ATTEMPTS:
                    raise
                time.sleep(LOOK_AGAIN_SECONDS * 2**attempt)
        raise AssertionError("unreachable")

    def read_back(self, audience_id: str) -> pa.Table:
        raise NotImplementedError("Meta shows nobody the members of an audience")

    def opt_outs(self) -> pa.Table:
        """Nobody says no to ads at Meta in a way it tells us; the shop's own consents decide."""
        return OPT_OUTS.empty_table()

    def add(self, audience_id: str, members: Sequence[Member]) -> list[Outcome]:
        rows = [[member.identifiers.get(key, "") for key in SCHEMA] for member in members]
        return self._upload("POST", audience_id, {"schema": list(SCHEMA), "data": rows}, [m.key for m in members])

    def update(self, audience_id: str, members: Sequence[Member]) -> list[Outcome]:
        """The same EXTERN_ID with other keys replaces the row."""
        return self.add(audience_id, members)

    def remove(self, audience_id: str, departures: Sequence[Departure]) -> list[Outcome]:
        keys = [departure.key for departure in departures]
        return self._upload("DELETE", audience_id, {"schema": ["EXTERN_ID"], "data": [[key] for key in keys]}, keys)

    def count(self, audience_id: str) -> Count:
        deadline, wait = time.monotonic() + SETTLE_SECONDS, 0.05
        while True:
            count = self._count_now(audience_id)
            if count.is_settled or time.monotonic() + wait > deadline:
                return count
            time.sleep(wait)
            wait = min(wait * 2, 5.0)

    def _count_now(self, audience_id: str) -> Count:
        fields = "approximate_count_lower_bound,approximate_count_upper_bound,operation_status"
        seen = self._call("GET", audience_id, params={"fields": fields})
        lower, upper = int(seen["approximate_count_lower_bound"]), int(seen["approximate_count_upper_bound"])
        is_settled = int(seen.get("operation_status", {}).get("code", SETTLED)) == SETTLED and lower >= 0
        for session_id in list(self._open_sessions.get(audience_id, [])):
            stages = self._call("GET", f"{audience_id}/sessions", params={"session_id": session_id})["data"]
            if all(session["stage"] == "completed" for session in stages):
                self._open_sessions[audience_id].remove(session_id)
            else:
                is_settled = False
        return Count(lower, upper, is_settled)

    def _audiences(self) -> Iterator[dict[str, Any]]:
        after: dict[str, str] = {}
        while True:
            page = self._call(
                "GET",
                f"{self._account}/customaudiences",
                params={"fields": "id,name,subtype", "limit": PAGE, **after},
            )
            yield from page["data"]
            # The ready-made next address carries the access token; the cursor does not.
            if "next" not in page.get("paging", {}):
                return
            after = {"after": page["paging"]["cursors"]["after"]}

    def _upload(self, method: str, audience_id: str, payload: dict[str, Any], keys: Sequence[str]) -> list[Outcome]:
        if not keys:
            return []
        for attempt in range(ATTEMPTS):
            session_id = secrets.randbelow(2**63 - 1) + 1
            session = {
                "session_id": session_id,
                "batch_seq": 1,
                "last_batch_flag": True,
                "estimated_num_total": len(keys),
            }
            try:
                answer = self._call(
                    method,
                    f"{audience_id}/users",
                    is_repeatable=False,
                    json_body={"payload": payload, "session": session},
                )
            except OutcomeUnknown:
                if attempt + 1 == ATTEMPTS:
                    raise
                time.sleep(LOOK_AGAIN_SECONDS * 2**attempt)
                continue
            except RequestRefused as refused:
                raise BatchRefused(f"graph_error_{code_of(refused.answer)}") from None
            self._open_sessions.setdefault(audience_id, []).append(str(session_id))
            invalid = int(answer["num_invalid_entries"])
            if 0 < invalid < len(keys):
                raise BatchRefused("invalid_entry")
            return [Outcome(key, "rejected", "invalid_entry") if invalid else Outcome(key, "accepted") for key in keys]
        raise AssertionError("unreachable")

    def _call(self, method: str, path: str, **keywords: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._session.json(method, f"{self._root}/{path}", **keywords)
        except RequestRefused as refused:
            if code_of(refused.answer) in TOKEN_CODES:
                raise AuthError(
                    f"meta refuses META_ACCESS_TOKEN (code {code_of(refused.answer)}); see .env.example"
                ) from None
            raise
        return answer


def code_of(answer: Any) -> int:
    error = answer.get("error") if isinstance(answer, dict) else None
    return int(error.get("code", 0)) if isinstance(error, dict) else 0


def throttled(response: requests.Response) -> float | None:
    if response.status_code not in (400, 403, 429):
        return None
    try:
        is_throttled = code_of(response.json()) in THROTTLE_CODES
    except requests.exceptions.JSONDecodeError:
        return None
    if not is_throttled:
        return None
    minutes = max((bucket.get("estimated_time_to_regain_access", 0) for bucket in buckets(response)), default=0)
    return minutes * 60.0 if minutes else -1.0


def pace(response: requests.Response) -> float:
    """Seconds to hold back once a quota is used up to three quarters."""
    used = max(
        (bucket.get(name, 0) for bucket in buckets(response) for name in ("call_count", "total_cputime", "total_time")),
        default=0,
    )
    return max(0.0, used - SLOW_DOWN_AT_PERCENT) * SECONDS_PER_PERCENT


def buckets(response: requests.Response) -> list[dict[str, Any]]:
    try:
        businesses = json.loads(response.headers.get("X-Business-Use-Case-Usage", "{}"))
    except ValueError:
        return []
    return [bucket for found in businesses.values() for bucket in found if isinstance(bucket, dict)]
