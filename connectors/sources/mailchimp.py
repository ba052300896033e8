"""Mailchimp's list members (who may be mailed, who said no in the tool itself) and what became of every campaign.

Odd: paging is by offset over a list that moves; archived members are only listed when asked for; the permanently
deleted vanish. A report says nowhere when it last changed: the campaigns of two months are looked at daily, and whose
figures moved is read again as a whole. Mail programs that fetch pictures by themselves count as opens.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import requests

from connectors.destinations.mailchimp import MailchimpConfig
from connectors.http import FixedHeader, MalformedAnswer, RequestRefused, Session, budget_of
from connectors.stream import Bookmark, Page, Source, Stream, columns

PAGE = 1000
# Somebody who leaves while we read moves everybody behind by one place.
PAGE_OVERLAP = 20
CONNECTIONS = 8
# After this long a campaign collects no more events worth asking for.
RESTATED = timedelta(days=60)

ACTIVITY = "STRUCT(action VARCHAR, type VARCHAR, timestamp TIMESTAMP, url VARCHAR, ip VARCHAR)[]"
STREAMS = (
    Stream(
        "members",
        columns(
            dict.fromkeys(("id", "list_id", "email_address", "unique_email_id", "contact_id", "full_name"), "VARCHAR")
            | {"status": "VARCHAR", "unsubscribe_reason": "VARCHAR"}
            # Not their tags: no stamp moves when one is put on or taken off, so what was read once would go stale.
            | dict.fromkeys(("timestamp_signup", "timestamp_opt", "last_changed"), "TIMESTAMP"),
            required=("id", "list_id", "email_address", "status", "last_changed"),
            personal=("email_address", "unique_email_id", "full_name", "unsubscribe_reason"),
        ),
        key=("id", "list_id"),
        cursor="last_changed",
    ),
    Stream(
        "reports",
        columns(
            dict.fromkeys(("id", "list_id", "type", "campaign_title", "subject_line"), "VARCHAR")
            | {"send_time": "TIMESTAMP"}
            | dict.fromkeys(("emails_sent", "abuse_reports", "unsubscribed"), "BIGINT")
            | {
                "bounces": "STRUCT(hard_bounces BIGINT, soft_bounces BIGINT, syntax_errors BIGINT)",
                "opens": "STRUCT(opens_total BIGINT, unique_opens BIGINT)",
                "clicks": "STRUCT(clicks_total BIGINT, unique_clicks BIGINT, unique_subscriber_clicks BIGINT)",
                "ecommerce": "STRUCT(total_orders BIGINT, total_spent DOUBLE, total_revenue DOUBLE, "
                "currency_code VARCHAR)",
            },
            required=("id", "send_time"),
        ),
        cursor="send_time",
        overlap=RESTATED,
    ),
    Stream(
        "email_activity",
        columns(
            dict.fromkeys(("campaign_id", "list_id", "email_id", "email_address"), "VARCHAR") | {"activity": ACTIVITY},
            required=("campaign_id", "email_id"),
            personal=("email_id", "email_address", "activity"),
        ),
        key=("campaign_id", "email_id"),
        partition_by="campaign_id",
        sweep_every=None,
    ),
    Stream(
        "unsubscribes",
        columns(
            dict.fromkeys(("campaign_id", "list_id", "email_id", "email_address", "reason"), "VARCHAR")
            | {"timestamp": "TIMESTAMP"},
            required=("campaign_id", "email_id", "timestamp"),
            personal=("email_id", "email_address", "reason"),
        ),
        key=("campaign_id", "email_id"),
        partition_by="campaign_id",
        sweep_every=None,
    ),
)
# Stream → where a campaign's rows stand, under which name, and what their number is in the report.
BY_CAMPAIGN = {
    "email_activity": ("email-activity", "emails", "emails_sent"),
    "unsubscribes": ("unsubscribed", "unsubscribes", "unsubscribed"),
}


class Mailchimp:
    """One list and the account's campaigns, opened for reading."""

    def __init__(self, config: MailchimpConfig) -> None:
        key = config.api_key.get_secret_value()
        basic = "Basic " + base64.b64encode(f"kizuna:{key}".encode()).decode()
        self._root = config.root
        self._members_url = f"{config.root}/lists/{config.list_id}/members"
        self.session = Session(
            "mailchimp",
            FixedHeader("MAILCHIMP_API_KEY", "Authorization", basic, key),
            budget=budget_of(f"mailchimp {config.root} {key}", concurrency=CONNECTIONS),
            throttled=throttled,
            read_seconds=130.0,
        )

    def read(self, stream: Stream, bookmark: Bookmark) -> Iterator[Page]:
        since = None if bookmark.since is None else bookmark.since.astimezone(UTC).isoformat()
        if stream.name == "members":
            yield from self._members(stream.types, {} if since is None else {"since_last_changed": since})
        elif stream.name == "reports":
            yield from self._reports(stream.types, {} if since is None else {"since_send_time": since})
        else:
            yield from self._by_campaign(stream, bookmark)

    def keys(self, stream: Stream) -> Iterator[Page]:
        return self._members(stream.key, {}) if stream.name == "members" else self._reports(stream.key, {})

    def fetch(self, stream: Stream, keys: Sequence[str]) -> Iterator[Page]:
        url = self._members_url if stream.name == "members" else f"{self._root}/reports"
        fields = ",".join(stream.types)
        for key in keys:
            try:
                yield Page([self.session.json("GET", f"{url}/{key}", params={"fields": fields})])
            except RequestRefused as error:
                if error.status != 404:
                    raise

    def _members(self, fields: Iterable[str], given: dict[str, Any]) -> Iterator[Page]:
        in_order = {"sort_field": "timestamp_signup", "sort_dir": "ASC"}
        for status in ({}, {"status": "archived"}):
            for body, _ in self._pages(self._members_url, "members", fields, given | in_order | status, PAGE_OVERLAP):
                yield Page(body, path=("members",))

    def _reports(self, fields: Iterable[str], given: dict[str, Any]) -> Iterator[Page]:
        for body, _ in self._pages(f"{self._root}/reports", "reports", fields, given, PAGE_OVERLAP):
            yield Page(body, path=("reports",))

    def _by_campaign(self, stream: Stream, bookmark: Bookmark) -> Iterator[Page]:
        """The rows of every campaign that is new or young and whose figures have moved, each campaign as a whole."""
        path, name, count = BY_CAMPAIGN[stream.name]
        figures = ("id", "send_time", "emails_sent", "unsubscribed", "bounces", "opens", "clicks")
        for _, answer in self._pages(f"{self._root}/reports", "reports", figures, {}, PAGE_OVERLAP):
            for report in answer["reports"]:
                version = hashlib.md5(repr(sorted(report.items())).encode(), usedforsecurity=False).hexdigest()
                landed = bookmark.partitions.get(report["id"])
                is_young = datetime.fromisoformat(report["send_time"]) > bookmark.as_of - RESTATED
                if not report[count] or (landed is not None and (landed == version or not is_young)):
                    continue
                url, seen = f"{self._root}/reports/{report['id']}/{path}", 0
                for body, page in self._pages(url, name, stream.types, {}, 0):
                    seen += len(page[name])
                    yield Page(body, path=(name,), partitions={report["id"]: version})
                if seen != page["total_items"]:
                    raise MalformedAnswer(f"mailchimp {path}: {seen} rows came of {page['total_items']}")

    def _pages(
        self, url: str, name: str, fields: Iterable[str], given: dict[str, Any], overlap: int
    ) -> Iterator[tuple[bytes, Any]]:
        """Pages of a list by offset, as they came and parsed; each begins `overlap` rows before the last one's end."""
        asked = {"count": PAGE, "fields": ",".join([*(f"{name}.{field}" for field in fields), "total_items"])}
        offset, first = 0, None
        while True:
            check = partial(_page_problem, name, offset, first)
            body, answer = self.session.page("GET", url, params=asked | {"offset": offset} | given, check=check)
            yield body, answer
            if offset + PAGE >= answer["total_items"]:
                return
            offset, first = offset + PAGE - overlap, answer[name][0]


def _page_problem(name: str, offset: int, first: Any, answer: Any) -> str | None:
    """A page that cannot be true: taken for one it would skip rows without a word."""
    rows = answer[name]
    if not rows:
        return "an empty page in the middle" if offset < answer["total_items"] else None
    return "the same page again" if rows[0] == first else None


def throttled(response: requests.Response) -> float | None:
    """A 403 without a body is Mailchimp's other way of saying "too many"; it names no time."""
    return -1.0 if response.status_code == 403 and not response.content.strip() else None


SOURCE = Source("mailchimp", MailchimpConfig, STREAMS, Mailchimp)
