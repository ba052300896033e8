"""Mailchimp Marketing API 3.0 as documented: one list, its members, tags, segments, merge fields, batches, reports.

The members are the world's table `mailchimp_members` itself, so whatever a test changes there the API shows.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

import flask

from connectors.sandbox import credentials, mailchimp_batches, mailchimp_reports, mailchimp_segments
from connectors.sandbox.mailchimp_answers import (
    LIST_ID,
    NOT_IN_BATCHES,
    arg,
    found,
    is_on,
    iso,
    json_body,
    known,
    member_page,
    moment,
    new_roll,
    row_error,
    trimmed,
    views,
)
from connectors.sandbox.mailchimp_members import Problem, Roll, hash_in_path, invalid, subscriber_hash
from connectors.sandbox.state import WORLD_NOW, State

PREFIX = "/mailchimp/3.0"
LONGEST_BATCH = 500
SIMULTANEOUS_CONNECTIONS = 10

_TABLES = """
create sequence if not exists mailchimp_segment_id start 100001;
create table if not exists mailchimp_forgotten (hash varchar);
create table if not exists mailchimp_segments (id bigint, name varchar, created_at timestamp, updated_at timestamp);
create table if not exists mailchimp_segment_members (segment_id bigint, hash varchar, added_at timestamp);
create table if not exists mailchimp_merge_fields (merge_id bigint, tag varchar, name varchar, type varchar,
    required boolean, default_value varchar, public boolean, display_order bigint);
create table if not exists mailchimp_batches (id varchar, status varchar, total bigint, errored bigint,
    submitted_at timestamp, completed_at timestamp, results varchar);
insert into mailchimp_merge_fields
    select * from (values (1, 'FNAME', 'First Name', 'text', false, '', true, 2),
        (2, 'LNAME', 'Last Name', 'text', false, '', true, 3),
        (3, 'ADDRESS', 'Address', 'address', false, '', false, 4),
        (4, 'PHONE', 'Phone Number', 'phone', false, '', false, 5),
        (5, 'BIRTHDAY', 'Birthday', 'birthday', false, '', false, 6)) as defaults
    where not exists (select 1 from mailchimp_merge_fields);
"""


def blueprint(state: State) -> flask.Blueprint:
    """The API under `/mailchimp/3.0`."""
    with state.lock, state.cursor() as cursor:
        cursor.execute(_TABLES)
    api = flask.Blueprint("mailchimp", __name__, url_prefix=PREFIX)
    _guard(api)
    _account(api, state)
    _members(api, state)
    mailchimp_segments.add_routes(api, state)
    mailchimp_reports.add_routes(api, state)
    mailchimp_batches.add_routes(api, state)
    return api


def members(state: State, audience_name: str) -> list[str]:
    """The true membership of a tag: every address in it, whatever its status; nothing when there is no such tag."""
    rows = state.rows(
        """select lower(m.email) from mailchimp_members m
        join mailchimp_segment_members s on s.hash = md5(lower(m.email))
        join mailchimp_segments g on g.id = s.segment_id where g.name = ? order by 1""",
        [audience_name],
    )
    return [row[0] for row in rows]


def failure_answer(status: int) -> flask.Response:
    """A failure on request. A 403 has no body: that is how Mailchimp's edge throttles under extreme volume."""
    if status == 403:
        return flask.Response(b"", status=403)
    titles = {401: "API Key Invalid", 429: "Too Many Requests"}
    problem = Problem(status, titles.get(status, "Internal Server Error"), "The sandbox was asked for this failure.")
    answer = flask.jsonify(problem.body())
    answer.status_code, answer.mimetype = status, "application/problem+json"
    return answer


def partial_answer(response: flask.Response) -> flask.Response | None:
    """The answer to a batch in which the first address failed; None for answers that know no such thing."""
    answer = response.get_json(silent=True)
    sent = flask.request.get_json(silent=True) or {}
    if not isinstance(answer, dict) or "error_count" not in answer:
        return None
    if sent.get("members"):
        address = sent["members"][0]["email_address"]
        error: dict[str, Any] = row_error(address, "The sandbox was asked for this failure.", "ERROR_GENERIC")
    else:
        addresses = (sent.get("members_to_add") or sent.get("members_to_remove") or [])[:1]
        error = {"email_addresses": addresses, "error": "The sandbox was asked for this failure."}
    answer = {**answer, "errors": [*answer.get("errors", []), error], "error_count": answer["error_count"] + 1}
    response.set_data(json.dumps(answer))
    return response


def dump(state: State) -> dict[str, Any]:
    """The list as it stands, without times and ids."""
    tags = [row[0] for row in state.rows("select name from mailchimp_segments order by name")]
    return {
        "members": state.rows("select lower(email), status, merge_fields from mailchimp_members order by 1"),
        "tags": {name: members(state, name) for name in tags},
        "merge_fields": [row[0] for row in state.rows("select tag from mailchimp_merge_fields order by tag")],
        "forgotten": [row[0] for row in state.rows("select hash from mailchimp_forgotten order by hash")],
    }


def _guard(api: flask.Blueprint) -> None:
    open_connections = 0
    counter = threading.Lock()

    @api.before_request
    def check() -> None:
        nonlocal open_connections
        flask.request.environ["kizuna.connection"] = True
        with counter:
            open_connections += 1
            is_too_many = open_connections > SIMULTANEOUS_CONNECTIONS
        if is_too_many:
            raise Problem(429, "Too Many Requests", "You have exceeded the limit of 10 simultaneous connections.")
        if flask.request.endpoint == "mailchimp.batch_result":
            return  # a pre-signed address
        key = credentials.MAILCHIMP_API_KEY
        given = flask.request.headers.get("Authorization", "")
        if given.startswith("Basic "):
            try:
                given = base64.b64decode(given[6:]).decode().partition(":")[2]
            except ValueError:
                given = ""
        if given.removeprefix("Bearer ") != key:
            raise Problem(
                401,
                "API Key Invalid",
                "Your API key may be invalid, or you've attempted to access the wrong datacenter.",
            )

    @api.teardown_request
    def leave(error: BaseException | None) -> None:
        nonlocal open_connections
        # Calls inside a batch, and requests a fault answers, end here too without having opened a connection.
        if flask.request.environ.pop("kizuna.connection", False):
            with counter:
                open_connections -= 1

    @api.errorhandler(Problem)
    def explain(problem: Problem) -> flask.Response:
        answer = flask.jsonify(problem.body())
        answer.status_code, answer.mimetype = problem.status, "application/problem+json"
        return answer


def _account(api: flask.Blueprint, state: State) -> None:
    @api.get("/ping")
    def ping() -> Any:
        return {"health_status": "Everything's Chimpy!"}

    @api.get("/")
    def root() -> Any:
        return trimmed(
            {
                "account_id": "kizuna",
                "login_id": "1",
                "account_name": "Kizuna demo shop",
                "email": "shop@kizuna.example",
                "role": "owner",
                "account_timezone": "Asia/Tokyo",
            }
        )

    def the_list() -> dict[str, Any]:
        counts = dict(state.rows("select status, count(*) from mailchimp_members group by all"))
        fields = state.value("select count(*) from mailchimp_merge_fields")
        return {
            "id": LIST_ID,
            "web_id": 1,
            "name": "Kizuna demo shop",
            "permission_reminder": "You signed up at our shop.",
            "use_archive_bar": False,
            "email_type_option": False,
            "date_created": iso(WORLD_NOW.replace(year=2025)),
            "list_rating": 3,
            "visibility": "prv",
            "double_optin": False,
            "has_welcome": False,
            "marketing_permissions": False,
            "stats": {
                "member_count": counts.get("subscribed", 0),
                "total_contacts": sum(counts.values()),
                "unsubscribe_count": counts.get("unsubscribed", 0),
                "cleaned_count": counts.get("cleaned", 0),
                "merge_field_count": fields,
            },
        }

    @api.get("/lists")
    def lists() -> Any:
        return trimmed({"lists": [the_list()], "total_items": 1})

    @api.get("/lists/<list_id>")
    def one_list(list_id: str) -> Any:
        known(list_id)
        return trimmed(the_list())

    @api.post("/lists/<list_id>")
    def batch_subscribe(list_id: str) -> Any:
        known(list_id)
        body = json_body()
        rows = body.get("members")
        if not isinstance(rows, list) or len(rows) > LONGEST_BATCH:
            raise invalid(f"Between 1 and {LONGEST_BATCH} members are expected.", "members")
        created, updated, errors = [], [], []
        with state.write() as cursor:
            roll = new_roll(cursor, state).load(subscriber_hash(str(row.get("email_address"))) for row in rows)
            seen: set[str] = set()
            for row in rows:
                address = str(row.get("email_address", ""))
                key = subscriber_hash(address)
                existing = roll.members.get(key)
                try:
                    if key in seen and not is_on("skip_duplicate_check"):
                        raise invalid("The email address is in this batch more than once.", "email_address")
                    seen.add(key)
                    if existing is None or existing["status"] == "archived":
                        created.append(roll.create(row, row.get("status"), existing))
                    elif body.get("update_existing"):
                        updated.append(roll.update(key, row))
                    else:
                        errors.append(row_error(address, f"{address} is already a list member", "ERROR_CONTACT_EXISTS"))
                except Problem as problem:
                    errors.append(row_error(address, problem.detail, "ERROR_GENERIC", problem.errors))
            roll.save()
            answer = {
                "new_members": views(cursor, created, NOT_IN_BATCHES),
                "updated_members": views(cursor, updated, NOT_IN_BATCHES),
                "errors": errors,
                "total_created": len(created),
                "total_updated": len(updated),
                "error_count": len(errors),
            }
        return trimmed(answer)


def _members(api: flask.Blueprint, state: State) -> None:
    @api.get("/lists/<list_id>/members")
    def list_members(list_id: str) -> Any:
        known(list_id)
        where: list[str] = ["m.status <> 'archived'"]  # archived contacts are listed only when asked for
        values: list[Any] = []
        if arg("status"):
            where, values = ["m.status = ?"], [arg("status")]
        for name, condition in (
            ("since_last_changed", "m.last_changed >= ?"),
            ("before_last_changed", "m.last_changed < ?"),
            ("since_timestamp_opt", "m.timestamp_opt >= ?"),
            ("before_timestamp_opt", "m.timestamp_opt < ?"),
        ):
            if arg(name):
                where.append(condition)
                values.append(moment(name))
        order = "m.email"
        if arg("sort_field") in ("timestamp_opt", "timestamp_signup", "last_changed"):
            order = f"m.{arg('sort_field')} {'desc' if arg('sort_dir') == 'DESC' else 'asc'}, m.email"
        source = f"from mailchimp_members m where {' and '.join(where)}"
        return member_page(state, source, values, order, list_id=LIST_ID)

    @api.post("/lists/<list_id>/members")
    def add_member(list_id: str) -> Any:
        known(list_id)
        body = json_body()
        key = subscriber_hash(str(body.get("email_address", "")))

        def create(roll: Roll) -> dict[str, Any]:
            existing = roll.members.get(key)
            if existing and existing["status"] != "archived":
                raise Problem(
                    400,
                    "Member Exists",
                    f"{body['email_address']} is already a list member. Use PUT to insert or update list members.",
                )
            return roll.create(body, body.get("status"), existing)

        return write_one(key, create, tags=body.get("tags") or [])

    @api.get("/lists/<list_id>/members/<subscriber>")
    def get_member(list_id: str, subscriber: str) -> Any:
        known(list_id)
        with state.cursor() as cursor:
            roll = new_roll(cursor, state).load([hash_in_path(subscriber)])
            return trimmed(views(cursor, [found(roll, subscriber)])[0])

    @api.put("/lists/<list_id>/members/<subscriber>")
    def put_member(list_id: str, subscriber: str) -> Any:
        known(list_id)
        body = json_body()
        for name in ("email_address", "status_if_new"):
            if name not in body:
                raise invalid("This value should not be blank.", name)
        return write_one(hash_in_path(subscriber), lambda roll: roll.put(hash_in_path(subscriber), body))

    @api.patch("/lists/<list_id>/members/<subscriber>")
    def patch_member(list_id: str, subscriber: str) -> Any:
        known(list_id)
        key = hash_in_path(subscriber)

        def change(roll: Roll) -> dict[str, Any]:
            found(roll, subscriber)
            return roll.update(key, json_body())

        return write_one(key, change)

    @api.delete("/lists/<list_id>/members/<subscriber>")
    def archive_member(list_id: str, subscriber: str) -> Any:
        known(list_id)
        with state.write() as cursor:
            roll = new_roll(cursor, state).load([hash_in_path(subscriber)])
            if found(roll, subscriber)["status"] == "archived":
                raise Problem(405, "Method Not Allowed", "This list member cannot be removed.")
            roll.archive(hash_in_path(subscriber))
            roll.save()
        return "", 204

    @api.post("/lists/<list_id>/members/<subscriber>/actions/delete-permanent")
    def delete_permanently(list_id: str, subscriber: str) -> Any:
        known(list_id)
        key = hash_in_path(subscriber)
        with state.write() as cursor:
            roll = new_roll(cursor, state).load([key])
            found(roll, subscriber)
            roll.forget(key)
            roll.save()
            cursor.execute("delete from mailchimp_segment_members where hash = ?", [key])
        return "", 204

    def write_one(key: str, write: Callable[[Roll], dict[str, Any]], tags: list[str] | None = None) -> Any:
        with state.write() as cursor:
            roll = new_roll(cursor, state).load([key])
            member = write(roll)
            roll.save()
            for tag in tags or []:
                segment_id = mailchimp_segments.segment_named(cursor, tag, state.now())
                mailchimp_segments.edit(cursor, segment_id, state.now(), [subscriber_hash(member["email"])], True)
            view = views(cursor, [member])[0]
        return trimmed(view)
