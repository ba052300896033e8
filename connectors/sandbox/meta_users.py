"""Meta's upload and removal of people: payload and session checks, hash formats, one row a person."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import duckdb
import flask
import pyarrow as pa

from connectors.identifiers import META
from connectors.sandbox import credentials
from connectors.sandbox.state import State

LONGEST_UPLOAD = 10_000
SAMPLES = 5
# How many reads of an audience (of a session) it takes until a change shows.
READS_UNTIL_COUNTED = 2
READS_UNTIL_COMPLETE = 1
SINGLE_KEYS = {"EMAIL_SHA256": "EMAIL", "PHONE_SHA256": "PHONE", "MOBILE_ADVERTISER_ID": "MADID", "UID": "EXTERN_ID"}
STRONG_KEYS = ("EXTERN_ID", "EMAIL", "PHONE", "MADID")
NOT_HASHED = ("EXTERN_ID", "MADID")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_USERS = pa.schema([(n, pa.string()) for n in ("row_key", "extern_id", "email", "phone", "madid", "identifiers")])


class GraphError(Exception):
    """An error in Graph's envelope; throttling and refused tokens are HTTP 400 as well."""

    def __init__(self, code: int, message: str, subcode: int = 0, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.subcode, self.status = code, message, subcode, status

    def body(self) -> dict[str, Any]:
        error = {
            "message": self.message,
            "type": "OAuthException",
            "code": self.code,
            "fbtrace_id": hashlib.sha1(self.message.encode(), usedforsecurity=False).hexdigest()[:11],
        }
        return {"error": error | ({"error_subcode": self.subcode} if self.subcode else {})}


def parameter(name: str) -> Any:
    """A parameter from the query, the form or the JSON body; JSON texts (as the SDKs send them) are parsed."""
    body = flask.request.get_json(silent=True)
    sources = (flask.request.args, flask.request.form, body if isinstance(body, dict) else {})
    value = next((source[name] for source in sources if name in source), None)
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            raise GraphError(100, f"(#100) Param {name} must be valid JSON") from None
    return value


def audience_row(state: State, audience_id: str) -> dict[str, Any]:
    with state.cursor() as cursor:
        found = cursor.execute("select * from meta_audiences where id = ?", [audience_id])
        names = [column[0] for column in found.description or ()]
        row = found.fetchone()
    if row is None:
        raise GraphError(
            100,
            f"Unsupported get request. Object with ID '{audience_id}' does not exist, cannot be loaded due to missing "
            "permissions, or does not support this operation",
            subcode=33,
        )
    return dict(zip(names, row, strict=True))


def add_routes(api: flask.Blueprint, state: State) -> None:
    @api.post("/<int:audience_id>/users")
    def add_users(audience_id: int) -> Any:
        return _upload(state, str(audience_id), "add")

    @api.delete("/<int:audience_id>/users")
    def remove_users(audience_id: int) -> Any:
        return _upload(state, str(audience_id), "remove")

    @api.post("/<int:audience_id>/usersreplace")
    def replace_users(audience_id: int) -> Any:
        if not parameter("session"):
            raise GraphError(100, "(#100) The parameter session is required")
        return _upload(state, str(audience_id), "replace")

    @api.get("/<int:audience_id>/sessions")
    def sessions(audience_id: int) -> Any:
        audience_row(state, str(audience_id))
        asked = flask.request.args.get("session_id")
        with state.lock, state.cursor() as cursor:
            rows = cursor.execute(
                """select session_id, stage, received, invalid, reads_left, started_at, changed_at from meta_sessions
                where audience_id = ? and (? is null or session_id = ?) order by started_at, session_id""",
                [str(audience_id), asked, asked],
            ).fetchall()
            cursor.execute(
                """update meta_sessions set reads_left = greatest(reads_left - 1, 0)
                where audience_id = ? and stage = 'closed' and (? is null or session_id = ?)""",
                [str(audience_id), asked, asked],
            )
        return {"data": [_session(row) for row in rows]}

    @api.delete("/<account>/usersofanyaudience")
    def forget_users(account: str) -> Any:
        if account != credentials.META_AD_ACCOUNT_ID:
            raise GraphError(100, f"Unsupported request. Object with ID '{account}' does not exist", subcode=33)
        _, rows, bad = _rows(parameter("payload"))
        with state.write() as cursor:
            _delete(cursor, None, rows)
            cursor.execute("update meta_audiences set reads_left = ?", [READS_UNTIL_COUNTED])
        return {"num_received": len(rows) + len(bad), "num_invalid_entries": len(bad), "invalid_entry_samples": []}


def _session(row: tuple[Any, ...]) -> dict[str, str]:
    session_id, stage, received, invalid, reads_left, started_at, changed_at = row
    is_complete = stage == "closed" and reads_left == 0
    shown = {
        "session_id": session_id,
        "stage": "completed" if is_complete else ("preprocessing" if stage == "closed" else "uploading"),
        "progress": "100" if is_complete else "50",
        "num_received": str(received),
        "num_invalid_entries": str(invalid),
        "num_matched": str(received - invalid if is_complete else 0),
        "start_time": started_at.isoformat(timespec="seconds") + "+0000",
    }
    return shown | ({"end_time": changed_at.isoformat(timespec="seconds") + "+0000"} if is_complete else {})


def _upload(state: State, audience_id: str, action: str) -> dict[str, Any]:
    audience = audience_row(state, audience_id)
    if audience["operation_code"] == 471 and action != "remove":
        raise GraphError(100, "Audience Upload Blocked", subcode=1713230)
    form, rows, bad = _rows(parameter("payload"))
    if action != "remove" and audience["form"] and audience["form"] != form:
        raise GraphError(2650, "Failed to update the custom audience: data source mismatch")
    with state.write() as cursor:
        session_id = _in_session(cursor, state, audience_id, len(rows) + len(bad), len(bad))
        if action == "replace" and session_id[1]:
            cursor.execute("delete from meta_users where audience_id = ?", [audience_id])
        if action == "remove":
            _delete(cursor, audience_id, rows)
        else:
            _upsert(cursor, audience_id, rows)
        cursor.execute(
            "update meta_audiences set reads_left = ?, changed_at = ?, form = coalesce(form, ?) where id = ?",
            [READS_UNTIL_COUNTED, state.now(), None if action == "remove" else form, audience_id],
        )
    return {
        "audience_id": audience_id,
        "session_id": session_id[0],
        "num_received": len(rows) + len(bad),
        "num_invalid_entries": len(bad),
        # Samples only: nobody learns every bad row from an answer.
        "invalid_entry_samples": {str(index): text for index, text in bad[:SAMPLES]},
    }


def _rows(payload: Any) -> tuple[str, list[dict[str, str]], list[tuple[int, str]]]:
    """The form (single or multi key), the good rows by key name, and the bad ones with their position."""
    if not isinstance(payload, dict) or "schema" not in payload or not isinstance(payload.get("data"), list):
        raise GraphError(100, "(#100) Param payload must have a schema and data")
    given, data = payload["schema"], payload["data"]
    if len(data) > LONGEST_UPLOAD:
        raise GraphError(100, f"(#100) Param payload has more than {LONGEST_UPLOAD} entries", subcode=1487851)
    form = "single" if isinstance(given, str) else "multi"
    keys = [SINGLE_KEYS.get(given, "")] if isinstance(given, str) else list(given)
    if not keys or any(key not in META for key in keys):
        raise GraphError(100, f"(#100) Param payload[schema] is not a known schema: {given!r}")
    good, bad = [], []
    for index, values in enumerate(data):
        row = [values] if isinstance(values, str) else values
        if not isinstance(row, list) or len(row) != len(keys):
            bad.append((index, "wrong number of values"))
            continue
        # Keys the SDK hashed before sending come with is_raw as well; a hash stays as it is.
        person = {
            key: _hashed(key, str(text)) if payload.get("is_raw") else str(text)
            for key, text in zip(keys, row, strict=True)
            if text not in ("", None)
        }
        wrong = [key for key, text in person.items() if not _is_well_formed(key, text)]
        if wrong or not person.keys() & {*STRONG_KEYS, "FN", "LN"}:
            bad.append((index, f"malformed {wrong[0]}" if wrong else "no identifier"))
        else:
            good.append(person)
    return form, good, bad


def _hashed(key: str, text: str) -> str:
    return text if key in NOT_HASHED or _SHA256.fullmatch(text) else META[key](text) or ""


def _is_well_formed(key: str, text: str) -> bool:
    return key in NOT_HASHED or (bool(_SHA256.fullmatch(text)) and text != _EMPTY_SHA256)


def _in_session(
    cursor: duckdb.DuckDBPyConnection, state: State, audience_id: str, received: int, invalid: int
) -> tuple[str, bool]:
    """Book the rows to the session they came in; returns its id and whether this was its first batch."""
    session = parameter("session")
    if session is None:
        number = cursor.execute("select count(*) from meta_sessions").fetchall()[0][0]
        session = {"session_id": 9_000_000_000 + number, "batch_seq": 1, "last_batch_flag": True}
    session_id = str(session.get("session_id", ""))
    if not session_id.isdigit() or not 0 < int(session_id) < 2**63 or "batch_seq" not in session:
        raise GraphError(100, "(#100) Param session must have a positive 64-bit session_id and a batch_seq")
    sequence, is_last = int(session["batch_seq"]), bool(session.get("last_batch_flag"))
    row = cursor.execute(
        "select last_seq, stage from meta_sessions where audience_id = ? and session_id = ?", [audience_id, session_id]
    ).fetchone()
    if row is None:
        if sequence != 1:
            raise GraphError(100, "(#100) The first batch of a session has batch_seq 1")
        cursor.execute(
            "insert into meta_sessions values (?, ?, 'uploading', 0, 0, 0, ?, ?, ?)",
            [audience_id, session_id, READS_UNTIL_COMPLETE, state.now(), state.now()],
        )
    elif sequence <= row[0] or row[1] == "closed":
        raise GraphError(100, "(#100) This batch of the session was already received: use a new session_id")
    cursor.execute(
        """update meta_sessions set last_seq = ?, received = received + ?, invalid = invalid + ?, stage = ?,
            changed_at = ? where audience_id = ? and session_id = ?""",
        [sequence, received, invalid, "closed" if is_last else "uploading", state.now(), audience_id, session_id],
    )
    return session_id, row is None


def _upsert(cursor: duckdb.DuckDBPyConnection, audience_id: str, rows: list[dict[str, str]]) -> None:
    people: dict[str, dict[str, str | None]] = {}
    for row in rows:
        key = next((row[name] for name in STRONG_KEYS if name in row), None) or _digest(row)
        people[key] = {
            "row_key": key,
            **{name.lower(): row.get(name) for name in STRONG_KEYS},
            "identifiers": json.dumps(row, sort_keys=True),
        }
    if not people:
        return
    cursor.register("uploaded", pa.Table.from_pylist(list(people.values()), schema=_USERS))
    cursor.execute(
        "delete from meta_users where audience_id = ? and row_key in (select row_key from uploaded)", [audience_id]
    )
    cursor.execute("insert into meta_users select ?, * from uploaded", [audience_id])
    cursor.unregister("uploaded")


def _delete(cursor: duckdb.DuckDBPyConnection, audience_id: str | None, rows: list[dict[str, str]]) -> None:
    """Take out everybody who shares a strong key with a row: the external id when it is given, else any other."""
    for name in STRONG_KEYS:
        values = [row[name] for row in rows if name in row and (name == "EXTERN_ID" or "EXTERN_ID" not in row)]
        cursor.execute(
            f"""delete from meta_users where {name.lower()} in (select unnest(?::varchar[]))
            and (? is null or audience_id = ?)""",
            [values, audience_id, audience_id],
        )


def _digest(row: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
