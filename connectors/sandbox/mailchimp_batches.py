"""Mailchimp's asynchronous batches: up to 1,000 calls in one request, a status that moves on, results as tar.gz.

The calls take effect at once; only the status lags, so a client that does not poll sees "pending" for ever.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from typing import Any

import duckdb
import flask

from connectors.sandbox.mailchimp_answers import iso, json_body, known, new_roll, not_found, paging, trimmed, views
from connectors.sandbox.mailchimp_members import Problem, hash_in_path, invalid, subscriber_hash
from connectors.sandbox.state import State

LONGEST = 1000
OPEN_BATCHES = 500
# What two reads after the submission show before the results are there.
NEXT_STATUS = {"pending": "started", "started": "finished", "finished": "finished"}
_MEMBER_PATH = re.compile(r"/?lists/([^/]+)/members/([^/]+)")


def add_routes(api: flask.Blueprint, state: State) -> None:
    @api.post("/batches")
    def start_batch() -> Any:
        operations = json_body().get("operations")
        if not isinstance(operations, list) or not operations:
            raise invalid("At least one operation is needed.", "operations")
        if len(operations) > LONGEST:
            raise invalid(f"At most {LONGEST} operations are allowed.", "operations")
        with state.lock:
            if state.value("select count(*) from mailchimp_batches where status <> 'finished'") >= OPEN_BATCHES:
                raise Problem(429, "Too Many Requests", f"You have more than {OPEN_BATCHES} pending batches.")
            results = _run(state, operations)
            with state.write() as cursor:
                number = cursor.execute("select count(*) from mailchimp_batches").fetchall()[0][0]
                batch_id = hashlib.md5(f"batch {number}".encode(), usedforsecurity=False).hexdigest()[:10]
                cursor.execute(
                    "insert into mailchimp_batches values (?, 'pending', ?, ?, ?, null, ?)",
                    [
                        batch_id,
                        len(results),
                        sum(result["status_code"] >= 400 for result in results),
                        state.now(),
                        json.dumps(results, ensure_ascii=False),
                    ],
                )
        return trimmed(_shown(state, "where id = ?", [batch_id])[0])

    @api.get("/batches")
    def list_batches() -> Any:
        count, offset = paging()
        total = state.value("select count(*) from mailchimp_batches")
        shown = _shown(state, "order by submitted_at desc limit ? offset ?", [count, offset])
        return trimmed({"batches": shown, "total_items": total})

    @api.get("/batches/<batch_id>")
    def get_batch(batch_id: str) -> Any:
        batches = _shown(state, "where id = ?", [batch_id])
        if not batches:
            raise not_found()
        with state.lock, state.cursor() as cursor:
            cursor.execute(
                "update mailchimp_batches set status = ?, completed_at = coalesce(completed_at, ?) where id = ?",
                [NEXT_STATUS[batches[0]["status"]], state.now(), batch_id],
            )
        return trimmed(_shown(state, "where id = ?", [batch_id])[0])

    @api.delete("/batches/<batch_id>")
    def delete_batch(batch_id: str) -> Any:
        with state.write() as cursor:
            cursor.execute("delete from mailchimp_batches where id = ?", [batch_id])
        return "", 204

    @api.get("/batch-results/<batch_id>.tar.gz")
    def batch_result(batch_id: str) -> Any:
        results = state.value("select results from mailchimp_batches where id = ?", [batch_id])
        if results is None:
            raise not_found()
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w:gz") as archive:
            content = results.encode()
            entry = tarfile.TarInfo(f"{batch_id}.json")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        return flask.Response(file.getvalue(), mimetype="application/gzip")


def _shown(state: State, rest: str, values: list[Any]) -> list[dict[str, Any]]:
    rows = state.rows(
        f"select id, status, total, errored, submitted_at, completed_at from mailchimp_batches {rest}", values
    )
    return [
        {
            "id": row[0],
            "status": row[1],
            "total_operations": row[2],
            "finished_operations": row[2] if row[1] == "finished" else 0,
            "errored_operations": row[3] if row[1] == "finished" else 0,
            "submitted_at": iso(row[4]),
            "completed_at": iso(row[5]) if row[1] == "finished" else "",
            "response_body_url": (
                flask.url_for("mailchimp.batch_result", batch_id=row[0], _external=True) if row[1] == "finished" else ""
            ),
        }
        for row in rows
    ]


def _run(state: State, operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    puts = [_MEMBER_PATH.fullmatch(str(op.get("path", ""))) for op in operations]
    if all(match and op.get("method") == "PUT" for match, op in zip(puts, operations, strict=True)):
        # The usual case, many member upserts, in one transaction; one by one it would take minutes.
        with state.write() as cursor:
            return _put_members(cursor, state, [match for match in puts if match], operations)
    return [_dispatched(operation) for operation in operations]


def _put_members(
    cursor: duckdb.DuckDBPyConnection,
    state: State,
    paths: list[re.Match[str]],
    operations: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    roll = new_roll(cursor, state).load(hash_in_path(path.group(2)) for path in paths)
    outcomes: list[Problem | str] = []
    for path, operation in zip(paths, operations, strict=True):
        try:
            known(path.group(1))
            body = json.loads(operation.get("body") or "{}")
            for name in ("email_address", "status_if_new"):
                if name not in body:
                    raise invalid("This value should not be blank.", name)
            outcomes.append(subscriber_hash(roll.put(hash_in_path(path.group(2)), body)["email"]))
        except Problem as problem:
            outcomes.append(problem)
    roll.save()
    written = sorted({outcome for outcome in outcomes if isinstance(outcome, str)})
    shown = dict(zip(written, views(cursor, [roll.members[key] for key in written]), strict=True))
    return [
        _result(operation, outcome.status, json.dumps(outcome.body(), ensure_ascii=False))
        if isinstance(outcome, Problem)
        else _result(operation, 200, json.dumps(shown[outcome], ensure_ascii=False))
        for operation, outcome in zip(operations, outcomes, strict=True)
    ]


def _dispatched(operation: dict[str, Any]) -> dict[str, Any]:
    """Run one operation through the API's own routes."""
    app = flask.current_app
    path = f"/mailchimp/3.0/{str(operation.get('path', '')).lstrip('/')}"
    with app.test_request_context(
        path,
        method=str(operation.get("method", "GET")),
        query_string=operation.get("params") or {},
        data=operation.get("body") or None,
        base_url=flask.request.host_url,
    ):
        answer = app.make_response(app.ensure_sync(app.dispatch_request)())
    return _result(operation, answer.status_code, answer.get_data(as_text=True))


def _result(operation: dict[str, Any], status: int, response: str) -> dict[str, Any]:
    return {"status_code": status, "operation_id": operation.get("operation_id") or "", "response": response}
