"""Mailchimp's static segments (tags under the hood), tag search and merge fields."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import duckdb
import flask

from connectors.sandbox.mailchimp_answers import (
    LIST_ID,
    NOT_IN_BATCHES,
    NOT_IN_SEGMENTS,
    found,
    is_on,
    iso,
    json_body,
    known,
    member_page,
    new_roll,
    not_found,
    paging,
    trimmed,
    views,
)
from connectors.sandbox.mailchimp_answers import arg as query
from connectors.sandbox.mailchimp_members import Problem, hash_in_path, invalid, subscriber_hash
from connectors.sandbox.state import State

LONGEST_EDIT = 500
LONGEST_TAG = 10
MERGE_TYPES = ("text", "number", "address", "phone", "date", "url", "imageurl", "radio", "dropdown", "birthday", "zip")


def add_routes(api: flask.Blueprint, state: State) -> None:
    _segments(api, state)
    _segment_members(api, state)
    _tags(api, state)
    _merge_fields(api, state)


def segment_named(cursor: duckdb.DuckDBPyConnection, name: str, now: datetime) -> int:
    """The id of the tag with this name, made when there is none."""
    row = cursor.execute("select id from mailchimp_segments where name = ?", [name]).fetchone()
    return int(row[0]) if row else _create(cursor, name, now)


def edit(
    cursor: duckdb.DuckDBPyConnection, segment_id: int, now: datetime, hashes: Iterable[str], is_adding: bool
) -> list[str]:
    """Put members into a segment or take them out; those that changed place are returned."""
    wanted = sorted(set(hashes))
    inside = {
        row[0]
        for row in cursor.execute(
            "select hash from mailchimp_segment_members where segment_id = ? and hash in (select unnest(?))",
            [segment_id, wanted],
        ).fetchall()
    }
    moved = [key for key in wanted if (key in inside) != is_adding]
    if is_adding:
        cursor.execute(
            "insert into mailchimp_segment_members select ?, unnest(?::varchar[]), ?", [segment_id, moved, now]
        )
    else:
        cursor.execute(
            "delete from mailchimp_segment_members where segment_id = ? and hash in (select unnest(?))",
            [segment_id, moved],
        )
    if moved:
        cursor.execute("update mailchimp_segments set updated_at = ? where id = ?", [now, segment_id])
    return moved


def _create(cursor: duckdb.DuckDBPyConnection, name: str, now: datetime) -> int:
    segment_id = int(cursor.execute("select nextval('mailchimp_segment_id')").fetchall()[0][0])
    cursor.execute("insert into mailchimp_segments values (?, ?, ?, ?)", [segment_id, name, now, now])
    return segment_id


def _statuses() -> str:
    """Which members a segment shows: the subscribed, and others only when asked; archived and pending never."""
    shown = ["subscribed"]
    shown += [status for status in ("cleaned", "transactional", "unsubscribed") if is_on(f"include_{status}")]
    return ", ".join(f"'{status}'" for status in shown)


def _counted(state: State, where: str, values: list[Any]) -> list[dict[str, Any]]:
    rows = state.rows(
        f"""select s.id, s.name, s.created_at, s.updated_at,
            count(*) filter (m.status in ({_statuses()}))
        from mailchimp_segments s left join mailchimp_segment_members i on i.segment_id = s.id
        left join mailchimp_members m on md5(lower(m.email)) = i.hash
        where {where} group by all order by s.id""",
        values,
    )
    return [
        {
            "id": row[0],
            "name": row[1],
            "member_count": row[4],
            "type": "static",
            "created_at": iso(row[2]),
            "updated_at": iso(row[3]),
            "options": {"match": "any", "conditions": []},
            "list_id": LIST_ID,
        }
        for row in rows
    ]


def _one(state: State, segment_id: int) -> dict[str, Any]:
    segments = _counted(state, "s.id = ?", [segment_id])
    if not segments:
        raise not_found()
    return segments[0]


def _segments(api: flask.Blueprint, state: State) -> None:
    @api.get("/lists/<list_id>/segments")
    def list_segments(list_id: str) -> Any:
        known(list_id)
        count, offset = paging()
        segments = _counted(state, "true", []) if query("type") in (None, "static") else []
        shown = segments[offset : offset + count]
        return trimmed({"segments": shown, "list_id": LIST_ID, "total_items": len(segments)})

    @api.post("/lists/<list_id>/segments")
    def create_segment(list_id: str) -> Any:
        known(list_id)
        body = json_body()
        name = body.get("name")
        if not isinstance(name, str) or not name or len(name) > 100:
            raise invalid("Please enter a name of at most 100 characters.", "name")
        with state.write() as cursor:
            if cursor.execute("select 1 from mailchimp_segments where name = ?", [name]).fetchone():
                raise Problem(400, "Bad Request", "Sorry, that tag already exists.")
            segment_id = _create(cursor, name, state.now())
            hashes = [subscriber_hash(address) for address in body.get("static_segment") or []]
            roll = new_roll(cursor, state).load(hashes)
            edit(cursor, segment_id, state.now(), roll.members, True)
        return trimmed(_one(state, segment_id))

    @api.get("/lists/<list_id>/segments/<int:segment_id>")
    def get_segment(list_id: str, segment_id: int) -> Any:
        known(list_id)
        return trimmed(_one(state, segment_id))

    @api.patch("/lists/<list_id>/segments/<int:segment_id>")
    def rename_segment(list_id: str, segment_id: int) -> Any:
        known(list_id)
        _one(state, segment_id)
        with state.write() as cursor:
            if name := json_body().get("name"):
                cursor.execute(
                    "update mailchimp_segments set name = ?, updated_at = ? where id = ?",
                    [name, state.now(), segment_id],
                )
        return trimmed(_one(state, segment_id))

    @api.delete("/lists/<list_id>/segments/<int:segment_id>")
    def delete_segment(list_id: str, segment_id: int) -> Any:
        known(list_id)
        _one(state, segment_id)
        with state.write() as cursor:
            cursor.execute("delete from mailchimp_segments where id = ?", [segment_id])
            cursor.execute("delete from mailchimp_segment_members where segment_id = ?", [segment_id])
        return "", 204

    @api.post("/lists/<list_id>/segments/<int:segment_id>")
    def edit_segment(list_id: str, segment_id: int) -> Any:
        known(list_id)
        _one(state, segment_id)
        body = json_body()
        adding, removing = body.get("members_to_add") or [], body.get("members_to_remove") or []
        for name, addresses in (("members_to_add", adding), ("members_to_remove", removing)):
            if len(addresses) > LONGEST_EDIT:
                raise invalid(f"At most {LONGEST_EDIT} members can be given.", name)
        with state.write() as cursor:
            roll = new_roll(cursor, state).load(subscriber_hash(address) for address in [*adding, *removing])
            # Addresses that are not on the list are ignored without a word; archived contacts are not on it.
            on_list = {key for key, member in roll.members.items() if member["status"] != "archived"}
            added = edit(cursor, segment_id, state.now(), on_list & {subscriber_hash(a) for a in adding}, True)
            removed = edit(cursor, segment_id, state.now(), {subscriber_hash(a) for a in removing}, False)
            answer = {
                "members_added": views(cursor, [roll.members[key] for key in added], NOT_IN_BATCHES),
                "members_removed": views(
                    cursor, [roll.members[key] for key in removed if key in roll.members], NOT_IN_BATCHES
                ),
                "errors": [],
                "total_added": len(added),
                "total_removed": len(removed),
                "error_count": 0,
            }
        return trimmed(answer)


def _segment_members(api: flask.Blueprint, state: State) -> None:
    @api.get("/lists/<list_id>/segments/<int:segment_id>/members")
    def segment_members(list_id: str, segment_id: int) -> Any:
        known(list_id)
        _one(state, segment_id)
        source = f"""from mailchimp_members m join mailchimp_segment_members i on i.hash = md5(lower(m.email))
            where i.segment_id = ? and m.status in ({_statuses()})"""
        return member_page(state, source, [segment_id], "m.email", NOT_IN_SEGMENTS)

    @api.post("/lists/<list_id>/segments/<int:segment_id>/members")
    def add_segment_member(list_id: str, segment_id: int) -> Any:
        known(list_id)
        _one(state, segment_id)
        key = subscriber_hash(str(json_body().get("email_address", "")))
        with state.write() as cursor:
            roll = new_roll(cursor, state).load([key])
            member = found(roll, key)
            edit(cursor, segment_id, state.now(), [key], True)
            view = views(cursor, [member], NOT_IN_SEGMENTS)[0]
        return trimmed(view)

    @api.delete("/lists/<list_id>/segments/<int:segment_id>/members/<subscriber>")
    def remove_segment_member(list_id: str, segment_id: int, subscriber: str) -> Any:
        known(list_id)
        _one(state, segment_id)
        with state.write() as cursor:
            if not edit(cursor, segment_id, state.now(), [hash_in_path(subscriber)], False):
                raise not_found()
        return "", 204


def _tags(api: flask.Blueprint, state: State) -> None:
    @api.get("/lists/<list_id>/tag-search")
    def tag_search(list_id: str) -> Any:
        known(list_id)
        rows = state.rows(
            "select id, name from mailchimp_segments where starts_with(lower(name), lower(?)) order by id",
            [query("name") or ""],
        )
        return trimmed({"tags": [{"id": row[0], "name": row[1]} for row in rows], "total_items": len(rows)})

    @api.get("/lists/<list_id>/members/<subscriber>/tags")
    def member_tags(list_id: str, subscriber: str) -> Any:
        known(list_id)
        key = hash_in_path(subscriber)
        with state.cursor() as cursor:
            found(new_roll(cursor, state).load([key]), key)
        rows = state.rows(
            """select s.id, s.name, m.added_at from mailchimp_segments s
            join mailchimp_segment_members m on m.segment_id = s.id where m.hash = ? order by s.id""",
            [key],
        )
        tags = [{"id": row[0], "name": row[1], "date_added": iso(row[2])} for row in rows]
        return trimmed({"tags": tags, "total_items": len(tags)})

    @api.post("/lists/<list_id>/members/<subscriber>/tags")
    def set_member_tags(list_id: str, subscriber: str) -> Any:
        known(list_id)
        key = hash_in_path(subscriber)
        with state.write() as cursor:
            found(new_roll(cursor, state).load([key]), key)
            for tag in json_body().get("tags") or []:
                segment_id = segment_named(cursor, tag["name"], state.now())
                edit(cursor, segment_id, state.now(), [key], tag["status"] == "active")
        return "", 204


def _merge_fields(api: flask.Blueprint, state: State) -> None:
    columns = ("merge_id", "tag", "name", "type", "required", "default_value", "public", "display_order")

    def shown() -> list[dict[str, Any]]:
        rows = state.rows(f"select {', '.join(columns)} from mailchimp_merge_fields order by merge_id")
        return [{**dict(zip(columns, row, strict=True)), "options": {}, "list_id": LIST_ID} for row in rows]

    @api.get("/lists/<list_id>/merge-fields")
    def list_merge_fields(list_id: str) -> Any:
        known(list_id)
        count, offset = paging()
        fields = shown()
        page = fields[offset : offset + count]
        return trimmed({"merge_fields": page, "list_id": LIST_ID, "total_items": len(fields)})

    @api.post("/lists/<list_id>/merge-fields")
    def create_merge_field(list_id: str) -> Any:
        known(list_id)
        body = json_body()
        name, kind, tag = body.get("name"), body.get("type"), body.get("tag")
        if not name or kind not in MERGE_TYPES:
            raise invalid("A name and a known type are needed.", "type")
        with state.write() as cursor:
            highest = cursor.execute("select max(merge_id) from mailchimp_merge_fields").fetchall()[0][0]
            tag = (tag or f"MMERGE{highest + 1}").upper()
            if len(tag) > LONGEST_TAG:
                raise invalid(f"A merge tag has at most {LONGEST_TAG} characters.", "tag")
            if cursor.execute("select 1 from mailchimp_merge_fields where tag = ?", [tag]).fetchone():
                raise Problem(400, "Bad Request", f'A Merge Field with the tag "{tag}" already exists for this list.')
            cursor.execute(
                "insert into mailchimp_merge_fields values (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    highest + 1,
                    tag,
                    name,
                    kind,
                    bool(body.get("required")),
                    body.get("default_value") or "",
                    bool(body.get("public")),
                    body.get("display_order") or highest + 2,
                ],
            )
        return trimmed(shown()[-1])
