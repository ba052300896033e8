"""How Mailchimp words its answers: paging, field selection, times, the shape of a member."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import flask

from connectors.sandbox import credentials
from connectors.sandbox.mailchimp_members import COLUMNS, Problem, Roll, hash_in_path, invalid, subscriber_hash
from connectors.sandbox.state import State

LIST_ID = credentials.MAILCHIMP_LIST_ID
LONGEST_PAGE = 1000
# The same member is shown in full, shorter in the answers to batches, and without tags in a segment.
NOT_IN_BATCHES = frozenset(
    {"contact_id", "full_name", "web_id", "unsubscribe_reason", "consents_to_one_to_one_messaging", "source"}
)
NOT_IN_SEGMENTS = frozenset(NOT_IN_BATCHES - {"full_name"} | {"tags", "tags_count"})


def iso(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") + "+00:00" if moment else ""


def arg(name: str) -> str | None:
    return flask.request.args.get(name) or None


def is_on(name: str) -> bool:
    return (arg(name) or "").lower() in ("true", "1")


def moment(name: str) -> datetime:
    # A plus sign that was not URL-encoded arrives as a space.
    text = (arg(name) or "").replace(" ", "+")
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("Please enter a valid ISO 8601 date.", name) from None
    return parsed.astimezone(UTC).replace(tzinfo=None) if parsed.tzinfo else parsed


def paging() -> tuple[int, int]:
    count, offset = arg("count") or "10", arg("offset") or "0"
    if not count.isdigit() or not offset.isdigit() or int(count) > LONGEST_PAGE:
        raise invalid(f"Must be between 0 and {LONGEST_PAGE}.", "count")
    return int(count), int(offset)


def json_body() -> dict[str, Any]:
    body = flask.request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise Problem(400, "JSON Parse Error", "We encountered an unspecified JSON parsing error.")
    return body


def known(list_id: str) -> None:
    if list_id != LIST_ID:
        raise not_found()


def not_found() -> Problem:
    return Problem(404, "Resource Not Found", "The requested resource could not be found.")


def trimmed(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with only `fields` or without `exclude_fields` (comma-separated, dotted into objects and lists)."""
    for name in ("fields", "exclude_fields"):
        paths = arg(name)
        if paths:
            tree: dict[str, Any] = {}
            for path in paths.split(","):
                node = tree
                for part in path.strip().split("."):
                    node = node.setdefault(part, {})
            answer = _selected(answer, tree, keep=name == "fields")
    return answer


def _selected(content: Any, tree: dict[str, Any], keep: bool) -> Any:
    if isinstance(content, list):
        return [_selected(item, tree, keep) for item in content]
    if not isinstance(content, dict) or not tree:
        return content
    if keep:
        return {name: _selected(content[name], branch, keep) for name, branch in tree.items() if name in content}
    return {
        name: _selected(item, tree[name], keep) if name in tree else item
        for name, item in content.items()
        if name not in tree or tree[name]
    }


def new_roll(cursor: duckdb.DuckDBPyConnection, state: State) -> Roll:
    types = dict(cursor.execute("select tag, type from mailchimp_merge_fields").fetchall())
    return Roll(cursor, state.now(), types)


def found(roll: Roll, subscriber: str) -> dict[str, Any]:
    member = roll.members.get(hash_in_path(subscriber))
    if member is None:
        raise not_found()
    return member


def member_page(
    state: State,
    source: str,
    values: Sequence[Any],
    order: str,
    without: frozenset[str] = frozenset(),
    **more: Any,
) -> dict[str, Any]:
    """One page of members selected by `source` (a FROM clause over `mailchimp_members m`)."""
    count, offset = paging()
    with state.cursor() as cursor:
        total = cursor.execute(f"select count(*) {source}", list(values)).fetchall()[0][0]
        rows = cursor.execute(
            f"select {', '.join('m.' + name for name in COLUMNS.names)} {source} order by {order} limit ? offset ?",
            [*values, count, offset],
        ).fetchall()
        members = [dict(zip(COLUMNS.names, row, strict=True)) for row in rows]
        for member in members:
            member["merge_fields"] = json.loads(member["merge_fields"] or "{}")
        return trimmed({"members": views(cursor, members, without), **more, "total_items": total})


def views(
    cursor: duckdb.DuckDBPyConnection, members: list[dict[str, Any]], without: frozenset[str] = frozenset()
) -> list[dict[str, Any]]:
    """Members as the API shows them, without the given properties."""
    hashes = [subscriber_hash(member["email"]) for member in members]
    tags: dict[str, list[dict[str, Any]]] = {}
    for key, segment_id, name in cursor.execute(
        """select m.hash, s.id, s.name from mailchimp_segment_members m join mailchimp_segments s on s.id = m.segment_id
        where m.hash in (select unnest(?)) order by s.id""",
        [hashes],
    ).fetchall():
        tags.setdefault(key, []).append({"id": segment_id, "name": name})
    fields = [row[0] for row in cursor.execute("select tag from mailchimp_merge_fields order by merge_id").fetchall()]
    shown = [
        {
            "id": key,
            "email_address": member["email"],
            "unique_email_id": key[:10],
            "contact_id": hashlib.md5(b"contact" + key.encode(), usedforsecurity=False).hexdigest(),
            "full_name": member["full_name"] or "",
            "web_id": int(key[:7], 16),
            "email_type": "html",
            "status": member["status"],
            **({"unsubscribe_reason": member["unsubscribe_reason"]} if member["unsubscribe_reason"] else {}),
            "consents_to_one_to_one_messaging": member["status"] == "subscribed",
            "merge_fields": dict.fromkeys(fields, "") | member["merge_fields"],
            "interests": {},
            "stats": {"avg_open_rate": 0, "avg_click_rate": 0},
            "ip_signup": "",
            "timestamp_signup": iso(member["timestamp_signup"]),
            "ip_opt": "",
            "timestamp_opt": iso(member["timestamp_opt"]),
            "member_rating": 2,
            "last_changed": iso(member["last_changed"]),
            "language": "",
            "vip": False,
            "email_client": "",
            "location": {"latitude": 0, "longitude": 0, "gmtoff": 0, "dstoff": 0, "country_code": "", "timezone": ""},
            "source": "API - Generic",
            "tags_count": len(tags.get(key, [])),
            "tags": tags.get(key, []),
            "list_id": LIST_ID,
        }
        for key, member in zip(hashes, members, strict=True)
    ]
    return [{name: value for name, value in view.items() if name not in without} for view in shown]


def row_error(address: str, message: str, code: str, errors: list[dict[str, str]] | None = None) -> dict[str, str]:
    first = (errors or [{"field": "", "message": ""}])[0]
    return {
        "email_address": address,
        "error": message,
        "error_code": code,
        "field": first["field"],
        "field_message": first["message"],
    }
