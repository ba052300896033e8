"""Meta Marketing API v26.0: customer-file custom audiences (hashes go in, none comes back, counts lag) and insights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import flask

from connectors.sandbox import credentials, meta_insights, meta_users
from connectors.sandbox.meta_insights import known_account
from connectors.sandbox.meta_users import GraphError, parameter
from connectors.sandbox.state import State

PREFIX = "/meta/v26.0"
DEFAULT_FIELDS = ("id",)


_TABLES = """
create sequence if not exists meta_audience_id start 23850000000000001;
create table if not exists meta_audiences (id varchar, account_id varchar, name varchar, description varchar,
    subtype varchar, customer_file_source varchar, retention_days bigint, form varchar, created_at timestamp,
    changed_at timestamp, shown_count bigint, reads_left bigint, operation_code bigint);
create table if not exists meta_users (audience_id varchar, row_key varchar, extern_id varchar, email varchar,
    phone varchar, madid varchar, identifiers varchar);
create table if not exists meta_sessions (audience_id varchar, session_id varchar, stage varchar, last_seq bigint,
    received bigint, invalid bigint, reads_left bigint, started_at timestamp, changed_at timestamp);
"""


def blueprint(state: State) -> flask.Blueprint:
    """The API under `/meta/v26.0`."""
    with state.lock, state.cursor() as cursor:
        cursor.execute(_TABLES)
        cursor.execute(meta_insights.TABLES)
    api = flask.Blueprint("meta", __name__, url_prefix=PREFIX)
    _guard(api, state)
    _account(api, state)
    _audience(api, state)
    meta_insights.add_routes(api, state)
    meta_users.add_routes(api, state)
    return api


def members(state: State, audience_name: str) -> list[str]:
    """The true membership: one hash a person (the hashed external id, else the first strong key)."""
    rows = state.rows(
        """select u.row_key from meta_users u join meta_audiences a on a.id = u.audience_id
        where a.name = ? order by 1""",
        [audience_name],
    )
    return [row[0] for row in rows]


def dump(state: State) -> dict[str, Any]:
    """Audiences and who is in them, without ids, times and sessions."""
    rows = state.rows("select name, subtype, id from meta_audiences order by name, id")
    people = "select row_key, identifiers from meta_users where audience_id = ? order by 1"
    return {"audiences": [{"name": r[0], "subtype": r[1], "users": state.rows(people, [r[2]])} for r in rows]}


def failure_answer(status: int) -> flask.Response:
    """Meta throttles and refuses tokens with HTTP 400 and a code; only its own failures are 5xx."""
    if status == 429:
        if "insights" in flask.request.path:
            message = "(#80000) There have been too many calls from this ad-account. Wait a bit and try again."
            return _answer(GraphError(80000, message, subcode=2446079))
        return _answer(GraphError(80003, "There have been too many calls from this ad-account.", subcode=2446079))
    if status == 401:
        return _answer(_token_error("Error validating access token: Session has expired.", 463))
    return _answer(GraphError(2, "An unexpected error has occurred. Please retry your request later.", status=status))


def partial_answer(response: flask.Response) -> flask.Response | None:
    """The answer to an upload in which one row was malformed; a report that failed on its way."""
    answer = response.get_json(silent=True)
    if isinstance(answer, dict) and "async_status" in answer:
        failed = {"async_status": "Job Failed", "async_percent_completion": 40, "error_code": -2}
        response.set_data(json.dumps(answer | failed | {"error_subcode": 2490547, "error_message": "Report failed"}))
        return response
    if not isinstance(answer, dict) or "num_invalid_entries" not in answer:
        return None
    answer = {**answer, "num_invalid_entries": answer["num_invalid_entries"] + 1}
    response.set_data(json.dumps(answer))
    return response


def _token_error(message: str, subcode: int) -> GraphError:
    return GraphError(190, message, subcode=subcode)


def _answer(error: GraphError) -> flask.Response:
    answer = flask.jsonify(error.body())
    answer.status_code = error.status
    if error.code == 190:
        answer.headers["WWW-Authenticate"] = 'OAuth "Facebook Platform" "invalid_token" "Invalid OAuth access token."'
    return answer


def _guard(api: flask.Blueprint, state: State) -> None:
    calls = 0

    @api.before_request
    def check() -> None:
        bearer = flask.request.headers.get("Authorization", "").removeprefix("Bearer ")
        given = flask.request.args.get("access_token") or flask.request.form.get("access_token") or bearer
        if not given:
            raise GraphError(2500, "An active access token must be used to query information about the current user.")
        if given != credentials.META_ACCESS_TOKEN:
            raise _token_error("Invalid OAuth access token - Cannot parse access token", 0)

    @api.after_request
    def usage(response: flask.Response) -> flask.Response:
        nonlocal calls
        calls += 1
        with state.cursor() as cursor:
            audiences = cursor.execute("select count(*) from meta_audiences").fetchall()[0][0]
        share = min(100, calls * 100 // (5000 + 40 * audiences))
        bucket = {
            "type": "ads_insights" if flask.request.path.endswith("/insights") else "custom_audience",
            "call_count": share,
            "total_cputime": share // 2,
            "total_time": share // 2,
            "estimated_time_to_regain_access": 0,
        }
        response.headers["X-Business-Use-Case-Usage"] = json.dumps({"1000000000000": [bucket]})
        return response

    @api.errorhandler(GraphError)
    def explain(error: GraphError) -> flask.Response:
        return _answer(error)


def _account(api: flask.Blueprint, state: State) -> None:
    @api.get("/me")
    def me() -> Any:
        return {"id": "100000000000001", "name": "Kizuna system user"}

    @api.get("/<account>/customaudiences")
    def list_audiences(account: str) -> Any:
        known_account(account)
        limit = int(flask.request.args.get("limit", "25"))
        after = int(flask.request.args.get("after", "0"))
        with state.cursor() as cursor:
            ids = [r[0] for r in cursor.execute("select id from meta_audiences order by id").fetchall()]
        page = ids[after : after + limit]
        answer: dict[str, Any] = {"data": [_shown(state, audience_id) for audience_id in page]}
        if page:
            cursors = {"before": str(after), "after": str(after + len(page))}
            answer["paging"] = {"cursors": cursors}
            if after + len(page) < len(ids):
                query = {**flask.request.args.to_dict(), "after": cursors["after"]}
                query.pop("access_token", None)
                answer["paging"]["next"] = flask.url_for(
                    "meta.list_audiences", account=account, _external=True, **query
                )
        return answer

    @api.post("/<account>/customaudiences")
    def create_audience(account: str) -> Any:
        known_account(account)
        name, subtype = parameter("name"), parameter("subtype") or "CUSTOM"
        if not name:
            raise GraphError(100, "(#100) The parameter name is required")
        source = parameter("customer_file_source")
        if subtype == "CUSTOM" and source not in (
            "USER_PROVIDED_ONLY",
            "PARTNER_PROVIDED_ONLY",
            "BOTH_USER_AND_PARTNER_PROVIDED",
        ):
            raise GraphError(100, "(#100) Param customer_file_source must be one of the known values", subcode=1870049)
        with state.write() as cursor:
            audience_id = str(cursor.execute("select nextval('meta_audience_id')").fetchall()[0][0])
            cursor.execute(
                "insert into meta_audiences values (?, ?, ?, ?, ?, ?, ?, null, ?, ?, 0, 0, 200)",
                [
                    audience_id,
                    account,
                    name,
                    parameter("description") or "",
                    subtype,
                    source,
                    int(parameter("retention_days") or 0),
                    state.now(),
                    state.now(),
                ],
            )
        return {"id": audience_id, "message": "For mobile audiences, enable the app for ads."}

    @api.get("/<account>/customaudiencestos")
    def terms(account: str) -> Any:
        known_account(account)
        return {"data": [{"id": "1", "content": "Custom Audience Terms", "type": "accepted"}]}


def _audience(api: flask.Blueprint, state: State) -> None:
    @api.get("/<int:audience_id>")
    def get_audience(audience_id: int) -> Any:
        return meta_insights.report_status(state, str(audience_id)) or _shown(state, str(audience_id))

    @api.post("/<int:audience_id>")
    def update_audience(audience_id: int) -> Any:
        meta_users.audience_row(state, str(audience_id))
        with state.write() as cursor:
            for name in ("name", "description"):
                if parameter(name) is not None:
                    cursor.execute(
                        f"update meta_audiences set {name} = ? where id = ?", [parameter(name), str(audience_id)]
                    )
        return {"success": True}

    @api.delete("/<int:audience_id>")
    def delete_audience(audience_id: int) -> Any:
        meta_users.audience_row(state, str(audience_id))
        with state.write() as cursor:
            cursor.execute("delete from meta_audiences where id = ?", [str(audience_id)])
            cursor.execute("delete from meta_users where audience_id = ?", [str(audience_id)])
        return {"success": True}


def rounded(count: int) -> tuple[int, int]:
    """The bounds an audience of this size is shown with: two significant digits down and up."""
    step = 10 ** max(1, len(str(count)) - 2)
    return count // step * step, -(-count // step) * step


def _shown(state: State, audience_id: str) -> dict[str, Any]:
    """One audience with the fields asked for. Reading it is what lets its counts catch up."""
    row = meta_users.audience_row(state, audience_id)
    asked = (flask.request.args.get("fields") or "").replace("[", "").replace("]", "").replace('"', "")
    fields = [name.strip() for name in asked.split(",") if name.strip()] or list(DEFAULT_FIELDS)
    if {"approximate_count_lower_bound", "approximate_count_upper_bound", "operation_status"} & set(fields):
        row = _counted(state, row)
    lower, upper = rounded(row["shown_count"])
    is_pending = row["reads_left"] > 0
    everything: Mapping[str, Any] = {
        "id": row["id"],
        "account_id": row["account_id"].removeprefix("act_"),
        "name": row["name"],
        "description": row["description"],
        "subtype": row["subtype"],
        "customer_file_source": row["customer_file_source"],
        "retention_days": row["retention_days"],
        "approximate_count_lower_bound": lower,
        "approximate_count_upper_bound": upper,
        "delivery_status": (
            {"code": 200, "description": "This audience is ready for use."}
            if row["shown_count"] >= 100
            else {"code": 300, "description": "This audience is too small."}
        ),
        "operation_status": (
            {"code": 441, "description": "We're finding people who match your audience."}
            if is_pending
            else {"code": row["operation_code"], "description": "Normal" if row["operation_code"] == 200 else "Flagged"}
        ),
        "time_created": int(row["created_at"].replace(tzinfo=UTC).timestamp()),
        "time_updated": int(row["changed_at"].replace(tzinfo=UTC).timestamp()),
        "time_content_updated": int(row["changed_at"].replace(tzinfo=UTC).timestamp()),
    }
    unknown = [name for name in fields if name not in everything]
    if unknown:
        raise GraphError(100, f"(#100) Tried accessing nonexisting field ({unknown[0]}) on node type (CustomAudience)")
    return {name: everything[name] for name in dict.fromkeys(["id", *fields])}


def _counted(state: State, row: dict[str, Any]) -> dict[str, Any]:
    if not row["reads_left"]:
        return row
    left = row["reads_left"] - 1
    with state.lock, state.cursor() as cursor:
        if left == 0:
            cursor.execute(
                """update meta_audiences set reads_left = 0,
                    shown_count = (select count(*) from meta_users u where u.audience_id = meta_audiences.id)
                where id = ?""",
                [row["id"]],
            )
        else:
            cursor.execute("update meta_audiences set reads_left = ? where id = ?", [left, row["id"]])
    return meta_users.audience_row(state, row["id"])
