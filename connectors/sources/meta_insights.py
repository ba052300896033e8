"""Meta's ad insights: what each campaign cost a day, and the purchases it claims for clicks and for mere views.

Odd: figures are texts, money in whole units; a limit is an HTTP 400 with a code; days change for four weeks because a
purchase is dated to the ad; one purchase is told under several action types; months at once only as a report that is
ordered, waited for and fetched.
"""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

import requests

from connectors.destinations.meta import TOKEN_CODES, VERSION, MetaConfig, code_of, pace
from connectors.destinations.meta import throttled as said_slow_down
from connectors.http import AuthError, FixedHeader, RequestRefused, Session, VendorDown, budget_of
from connectors.stream import Bookmark, Page, Source, Stream, columns

# The windows that are asked for and counted; another choice gives other numbers.
WINDOWS = ("7d_click", "1d_view")
RESTATED = timedelta(days=28)
HISTORY = timedelta(days=1125)
# A longer time than this is ordered as reports, half a year each.
DAYS_AT_ONCE, REPORT_DAYS = 31, 190
PAGE = 500
REPORT_ATTEMPTS = 3
FIRST_POLL_SECONDS, LONGEST_POLL_SECONDS, REPORT_SECONDS = 0.2, 30.0, 3600.0
# "Temporary", and "too much data at once: order a report".
PASSING_CODES, TOO_MUCH = {1, 2}, 1504018

ACTIONS = 'STRUCT(action_type VARCHAR, value VARCHAR, "7d_click" VARCHAR, "1d_view" VARCHAR)[]'
STREAMS = (
    Stream(
        "insights",
        columns(
            dict.fromkeys(("account_id", "account_currency", "campaign_id", "campaign_name"), "VARCHAR")
            | {"date_start": "TIMESTAMP", "date_stop": "TIMESTAMP", "spend": "DECIMAL(18,4)"}
            | {"impressions": "BIGINT", "clicks": "BIGINT", "actions": ACTIONS, "action_values": ACTIONS}
            | {"action_attribution_windows": "VARCHAR"},
            required=("account_id", "campaign_id", "date_start", "spend"),
        ),
        key=("account_id", "campaign_id", "date_start"),
        cursor="date_start",
        overlap=RESTATED,
        sweep_every=None,
    ),
)
FIELDS = ",".join(name for name in STREAMS[0].types if name != "action_attribution_windows")


class MetaInsights:
    """One ad account, opened for reading."""

    def __init__(self, config: MetaConfig) -> None:
        token = config.access_token.get_secret_value()
        self._root = f"{config.base_url.rstrip('/')}/{VERSION}"
        self._account = config.account
        # Insights have a quota of their own beside the audiences'.
        self.session = Session(
            "meta",
            FixedHeader("META_ACCESS_TOKEN", "Authorization", f"Bearer {token}", token),
            budget=budget_of(f"meta insights {config.base_url} {config.account}", concurrency=2),
            throttled=throttled,
            pace=pace,
            read_seconds=120.0,
        )

    def read(self, stream: Stream, bookmark: Bookmark) -> Iterator[Page]:
        until = bookmark.as_of.date()
        start = (bookmark.since or bookmark.as_of - HISTORY).date()
        if (until - start).days < DAYS_AT_ONCE:
            try:
                yield from self._rows(f"{self._account}/insights", _asked(start, until))
                return
            except RequestRefused as refused:
                if (refused.answer or {}).get("error", {}).get("error_subcode") != TOO_MUCH:
                    raise
        windows = []
        while start <= until:
            end = min(start + timedelta(days=REPORT_DAYS - 1), until)
            windows.append((start, end))
            start = end + timedelta(days=1)
        yield from self._reports(windows)

    def keys(self, stream: Stream) -> Iterator[Page]:
        return iter(())

    def fetch(self, stream: Stream, keys: Sequence[str]) -> Iterator[Page]:
        return iter(())

    def _reports(self, windows: Sequence[tuple[date, date]]) -> Iterator[Page]:
        """All are ordered before the first is waited for; one that failed at the vendor is ordered again."""
        attempts = dict.fromkeys(windows, 1)
        ordered = {window: self._order(window) for window in windows}
        deadline, wait = time.monotonic() + REPORT_SECONDS, FIRST_POLL_SECONDS
        while ordered:
            for window, report in list(ordered.items()):
                run = self._call("GET", report)
                status = run["async_status"]
                if status == "Job Completed" and run["async_percent_completion"] == 100:
                    del ordered[window]
                    yield from self._rows(f"{report}/insights", {})
                elif status in ("Job Failed", "Job Skipped"):
                    if attempts[window] == REPORT_ATTEMPTS:
                        raise VendorDown(f"meta: the report of {window[0]} to {window[1]} failed ({status})")
                    attempts[window] += 1
                    ordered[window] = self._order(window)
            if ordered:
                if time.monotonic() + wait > deadline:
                    raise VendorDown(f"meta: {len(ordered)} reports not ready after {REPORT_SECONDS:.0f} s")
                time.sleep(wait)
                wait = min(wait * 2, LONGEST_POLL_SECONDS)

    def _order(self, window: tuple[date, date]) -> str:
        return str(self._call("POST", f"{self._account}/insights", json_body=_asked(*window))["report_run_id"])

    def _rows(self, path: str, asked: dict[str, Any]) -> Iterator[Page]:
        given = asked | {"limit": PAGE}
        while True:
            check = partial(_page_problem, given.get("after"))
            body, answer = self._page(path, given, check)
            yield Page(body, path=("data",), constants={"action_attribution_windows": ",".join(WINDOWS)})
            # The ready-made next address carries the access token; the cursor does not.
            if "next" not in answer.get("paging", {}):
                return
            given["after"] = answer["paging"]["cursors"]["after"]

    def _page(self, path: str, given: dict[str, Any], check: Any) -> tuple[bytes, Any]:
        try:
            return self.session.page("GET", f"{self._root}/{path}", params=given, check=check)
        except RequestRefused as refused:
            raise _refusal(refused) from None

    def _call(self, method: str, path: str, **keywords: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self.session.json(method, f"{self._root}/{path}", **keywords)
        except RequestRefused as refused:
            raise _refusal(refused) from None
        return answer


def _asked(since: date, until: date) -> dict[str, Any]:
    return {
        "level": "campaign",
        "time_increment": 1,
        "time_range": json.dumps({"since": str(since), "until": str(until)}),
        "action_attribution_windows": json.dumps(WINDOWS),
        "fields": FIELDS,
    }


def _page_problem(after: str | None, answer: Any) -> str | None:
    """A page that cannot be true: taken for one it would skip days without a word."""
    paging = answer.get("paging", {})
    if "next" in paging and paging["cursors"]["after"] == after:
        return "the cursor stands still"
    return "an empty page in the middle" if "next" in paging and not answer["data"] else None


def _refusal(refused: RequestRefused) -> Exception:
    code = code_of(refused.answer)
    if code in TOKEN_CODES:
        return AuthError(f"meta refuses META_ACCESS_TOKEN (code {code}); see .env.example")
    return refused


def throttled(response: requests.Response) -> float | None:
    """Meta's limits, and what it calls temporary: both are worth asking again."""
    wait = said_slow_down(response)
    if wait is None and response.status_code == 400:
        try:
            is_passing = code_of(response.json()) in PASSING_CODES
        except requests.exceptions.JSONDecodeError:
            return None
        return -1.0 if is_passing else None
    return wait


SOURCE = Source("meta", MetaConfig, STREAMS, MetaInsights)
