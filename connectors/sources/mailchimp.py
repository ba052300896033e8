"""Mailchimp's list members: who may be mailed, and who said no in the e-mail tool itself.

Odd: paging is by offset over a list that moves; archived members are only listed when asked for; the permanently
deleted vanish.
"""

import base64
from collections.abc import Iterator, Sequence
from datetime import UTC
from functools import partial
from typing import Any

import requests

from connectors.destinations.mailchimp import MailchimpConfig
from connectors.http import FixedHeader, RequestRefused, Session, budget_of
from connectors.stream import Bookmark, Page, Source, Stream, columns

PAGE = 1000
# Somebody who leaves while we read moves everybody behind by one place.
PAGE_OVERLAP = 20
CONNECTIONS = 8

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
)
FIELDS = ",".join(f"members.{name}" for name in STREAMS[0].types) + ",total_items"


class Mailchimp:
    """One list, opened for reading."""

    def __init__(self, config: MailchimpConfig) -> None:
        key = config.api_key.get_secret_value()
        basic = "Basic " + base64.b64encode(f"kizuna:{key}".encode()).decode()
        self._list_id = config.list_id
        self._url = f"{config.root}/lists/{config.list_id}/members"
        self.session = Session(
            "mailchimp",
            FixedHeader("MAILCHIMP_API_KEY", "Authorization", basic, key),
            budget=budget_of(f"mailchimp {config.root} {key}", concurrency=CONNECTIONS),
            throttled=throttled,
            read_seconds=130.0,
        )

    def read(self, stream: Stream, bookmark: Bookmark) -> Iterator[Page]:
        since = {} if bookmark.since is None else {"since_last_changed": bookmark.since.astimezone(UTC).isoformat()}
        yield from self._members(FIELDS, since)

    def keys(self, stream: Stream) -> Iterator[Page]:
        yield from self._members("members.id,members.list_id,total_items", {})

    def fetch(self, stream: Stream, keys: Sequence[str]) -> Iterator[Page]:
        fields = ",".join(stream.types)
        for key in keys:
            try:
                yield Page([self.session.json("GET", f"{self._url}/{key}", params={"fields": fields})])
            except RequestRefused as error:
                if error.status != 404:
                    raise

    def _members(self, fields: str, given: dict[str, Any]) -> Iterator[Page]:
        in_order = {"sort_field": "timestamp_signup", "sort_dir": "ASC"}
        for status in ({}, {"status": "archived"}):
            offset, first = 0, None
            while True:
                body, answer = self.session.page(
                    "GET",
                    self._url,
                    params={"count": PAGE, "offset": offset, "fields": fields} | in_order | given | status,
                    check=partial(_page_problem, offset, first),
                )
                yield Page(body, path=("members",))
                if offset + PAGE >= answer["total_items"]:
                    break
                offset, first = offset + PAGE - PAGE_OVERLAP, answer["members"][0]["id"]


def _page_problem(offset: int, first: str | None, answer: Any) -> str | None:
    """A page that cannot be true: taken for one it would skip members without a word."""
    members = answer["members"]
    if not members:
        return "an empty page in the middle" if offset < answer["total_items"] else None
    return "the same page again" if members[0]["id"] == first else None


def throttled(response: requests.Response) -> float | None:
    """A 403 without a body is Mailchimp's other way of saying "too many"; it names no time."""
    return -1.0 if response.status_code == 403 and not response.content.strip() else None


SOURCE = Source("mailchimp", MailchimpConfig, STREAMS, Mailchimp)
