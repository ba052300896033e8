"""The GA4 export in BigQuery's REST API v2: token endpoint, tables, queries with paged results, tabledata.list."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request
from google.auth import exceptions as google_exceptions
from google.auth import jwt

from connectors.sandbox import bigquery_jobs, credentials, google_key
from connectors.sandbox.bigquery_notes import TableNotes
from connectors.sandbox.bigquery_rows import table_schema
from connectors.sandbox.bigquery_sql import (
    DATASET,
    DayTable,
    QueryError,
    day_table,
    day_tables,
    event_columns,
    not_found,
)
from connectors.sandbox.state import State
from connectors.sandbox.tokens import tokens

TOKEN_SECONDS = 3599
LIST_DEFAULT = 50
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCES = ("https://oauth2.googleapis.com/token",)
SCOPES = (
    "https://www.googleapis.com/auth/bigquery.readonly",
    "https://www.googleapis.com/auth/bigquery",
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/cloud-platform.read-only",
)
ADS_SCOPE = "https://www.googleapis.com/auth/adwords"
TOKYO = timedelta(hours=9)


def blueprint(state: State) -> Blueprint:
    vendor = Blueprint("bigquery", __name__)
    jobs = bigquery_jobs.Jobs(state)
    notes = TableNotes(state)
    project = "/bigquery/v2/projects/<project>"
    tables = f"{project}/datasets/<dataset>/tables"

    @vendor.before_request
    def authenticate() -> Response | None:
        if request.path.startswith("/google/"):
            return None
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not tokens().is_valid("bigquery", token):
            return failure_answer(401)
        if (request.view_args or {}).get("project") != credentials.GA4_PROJECT:
            raise QueryError(403, "accessDenied", "Access Denied: the account may not use this project")
        return None

    @vendor.errorhandler(QueryError)
    def refuse(error: QueryError) -> Response:
        return _error(error.status, error.reason, str(error))

    @vendor.post("/google/token")
    def token() -> Response:
        return _token(state)

    @vendor.get(f"{project}/datasets")
    def list_datasets(project: str) -> Response:
        entry = {"kind": "bigquery#dataset", "id": f"{project}:{DATASET}", "datasetReference": _dataset(project)}
        return _json({"kind": "bigquery#datasetList", "datasets": [entry | {"location": "US"}]})

    @vendor.get(tables)
    def list_tables(project: str, dataset: str) -> Response:
        return _list_tables(state, project, dataset)

    @vendor.get(f"{tables}/<table_id>")
    def get_table(project: str, dataset: str, table_id: str) -> Response:
        return _json(_table(state, notes, project, _existing(state, dataset, table_id)))

    @vendor.get(f"{tables}/<table_id>/data")
    def table_data(project: str, dataset: str, table_id: str) -> Response:
        return _table_data(state, jobs, _existing(state, dataset, table_id))

    @vendor.post(f"{project}/queries")
    def query(project: str) -> Response:
        asked = request.get_json(silent=True) or {}
        if not asked.get("query"):
            raise QueryError(400, "required", "Required parameter is missing: query")
        if asked.get("useLegacySql", True):
            raise QueryError(400, "invalidQuery", 'Encountered "`": legacy SQL is the default; send useLegacySql false')
        job = jobs.run(str(asked["query"]))
        return _results("bigquery#queryResponse", jobs, job, 0, asked.get("maxResults"))

    @vendor.get(f"{project}/queries/<job_id>")
    def query_results(project: str, job_id: str) -> Response:
        job = jobs.find(job_id)
        if job is None:
            raise QueryError(404, "notFound", f"Not found: Job {project}:US.{job_id}")
        start = _position(request.args.get("pageToken") or request.args.get("startIndex"))
        return _results("bigquery#getQueryResultsResponse", jobs, job, start, request.args.get("maxResults"))

    return vendor


def failure_answer(status: int) -> Response:
    """The vendor's body for an HTTP failure; too many requests are a 403 here."""
    if status == 401:
        message = "Request had invalid authentication credentials. Expected OAuth 2 access token."
        return _error(401, "authError", message)
    if status in {403, 429}:
        return _error(403, "rateLimitExceeded", "Exceeded rate limits: too many api requests per user per method")
    reason = {503: "backendError", 404: "notFound"}.get(status, "internalError")
    return _error(status, reason, "An internal error occurred and the request could not be completed.")


def partial_answer(response: Response) -> Response | None:
    """A query that is not done yet: no rows, ask again by the job's id."""
    answer = response.get_json(silent=True)
    if not answer or answer.get("kind") != "bigquery#queryResponse":
        return None
    return _json({"kind": answer["kind"], "jobReference": answer["jobReference"], "jobComplete": False})


def expire_tokens() -> None:
    tokens().expire("bigquery")


def dump(state: State) -> dict[str, Any]:
    """The export is only read: its size says enough."""
    return {"events": state.value("select count(*) from ga4_events"), "tables": len(day_tables(state))}


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return _text(json.dumps(body, ensure_ascii=False), status)


def _text(body: str, status: int = 200) -> Response:
    return Response(body, status=status, content_type="application/json; charset=UTF-8")


_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 500: "INTERNAL"}


def _error(status: int, reason: str, message: str) -> Response:
    errors = [{"message": message, "domain": "global", "reason": reason}]
    body = {"code": status, "message": message, "errors": errors, "status": _STATUS.get(status, "UNAVAILABLE")}
    return _json({"error": body}, status)


def _token(state: State) -> Response:
    """Check a service account's signed assertion as Google does and hand out an access token."""
    if request.form.get("grant_type") != GRANT:
        return _json({"error": "unsupported_grant_type", "error_description": "Invalid grant_type"}, 400)
    try:
        claims = jwt.decode(
            request.form.get("assertion", ""),
            certs=google_key.public_key(state.directory),
            audience=[*AUDIENCES, request.base_url],
            clock_skew_in_seconds=300,
        )
    except (ValueError, google_exceptions.GoogleAuthError) as error:
        return _json({"error": "invalid_grant", "error_description": f"Invalid JWT: {error}"}, 400)
    if claims.get("iss") != credentials.GA4_CLIENT_EMAIL:
        return _json({"error": "invalid_grant", "error_description": "Invalid grant: account not found"}, 400)
    if claims["exp"] - claims["iat"] > 3600:
        return _json(
            {"error": "invalid_grant", "error_description": "Invalid JWT: a lifetime of one hour at most"}, 400
        )
    scopes = set(str(claims.get("scope", "")).split())
    if not scopes & {*SCOPES, ADS_SCOPE}:
        return _json({"error": "invalid_scope", "error_description": "Invalid OAuth scope or ID token audience"}, 400)
    vendor = "google_ads" if ADS_SCOPE in scopes else "bigquery"
    issued = tokens().issue(vendor, TOKEN_SECONDS, prefix="ya29.")
    return _json({"access_token": issued, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})


def _dataset(project: str) -> dict[str, str]:
    return {"projectId": project, "datasetId": DATASET}


def _existing(state: State, dataset: str, table_id: str) -> DayTable:
    if dataset != DATASET:
        raise QueryError(404, "notFound", f"Not found: Dataset {credentials.GA4_PROJECT}:{dataset}")
    found = day_table(state, table_id)
    if found is None:
        raise not_found(table_id)
    return found


def _position(token: str | None) -> int:
    if token in (None, ""):
        return 0
    if not str(token).isdigit():
        raise QueryError(400, "invalid", f"Invalid page token {token}")
    return int(str(token))


def _count(value: Any) -> int | None:
    if value in (None, ""):
        return None
    if not str(value).isdigit():
        raise QueryError(400, "invalid", f"Invalid value for maxResults: {value}")
    return int(value)


def _list_tables(state: State, project: str, dataset: str) -> Response:
    if dataset != DATASET:
        raise QueryError(404, "notFound", f"Not found: Dataset {project}:{dataset}")
    found = day_tables(state)
    start = _position(request.args.get("pageToken"))
    limit = _count(request.args.get("maxResults")) or LIST_DEFAULT
    entries = [
        {
            "kind": "bigquery#table",
            "id": f"{project}:{DATASET}.{day.table_id}",
            "tableReference": _dataset(project) | {"tableId": day.table_id},
            "type": "TABLE",
            "creationTime": str(_milliseconds(_created(day))),
        }
        for day in found[start : start + limit]
    ]
    answer: dict[str, Any] = {"kind": "bigquery#tableList", "etag": f"list-{start}-{len(found)}", "tables": entries}
    if start + limit < len(found):
        answer["nextPageToken"] = str(start + limit)
    return _json(answer | {"totalItems": len(found)})


def _created(day: DayTable) -> datetime:
    start = datetime.strptime(day.date, "%Y%m%d") - TOKYO
    return start if day.is_intraday else start + timedelta(days=1, hours=2)


def _milliseconds(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1)).total_seconds() * 1000)


def _table(state: State, notes: TableNotes, project: str, day: DayTable) -> dict[str, Any]:
    count, modified = notes.look(day)
    return {
        "kind": "bigquery#table",
        "etag": f"{day.table_id}-{_milliseconds(modified)}",
        "id": f"{project}:{DATASET}.{day.table_id}",
        "selfLink": request.base_url,
        "tableReference": _dataset(project) | {"tableId": day.table_id},
        "schema": _event_schema(state),
        "numRows": str(count),
        "numBytes": str(count * 1200),
        "creationTime": str(_milliseconds(_created(day))),
        "lastModifiedTime": str(_milliseconds(modified)),
        "type": "TABLE",
        "location": "US",
    }


def _event_schema(state: State) -> dict[str, Any]:
    listed = ", ".join(f'"{name}"' for name in event_columns(state))
    with state.cursor() as cursor:
        relation = cursor.sql(f"select {listed} from ga4_events")
        return table_schema(list(relation.columns), list(relation.types))


def _table_data(state: State, jobs: bigquery_jobs.Jobs, day: DayTable) -> Response:
    selected = [name for name in request.args.get("selectedFields", "").split(",") if name]
    columns = [name for name in event_columns(state) if not selected or name in selected]
    if not columns:
        raise QueryError(400, "invalid", "selectedFields names no field of the table")
    token = request.args.get("pageToken") or ""
    # a page token keeps the reader on the rows it began with
    job_id, _, position = token.rpartition(":")
    job = jobs.find(job_id) if job_id else None
    if job is None:
        listed = ", ".join(f'"{name}"' for name in columns)
        job = jobs.store(f"select {listed} from ga4_events where {day.condition}")
        position = position or request.args.get("startIndex", "0")
    start = _position(position)
    rows, end = jobs.page(job, start, _count(request.args.get("maxResults")))
    members: dict[str, Any] = {"etag": job.job_id, "totalRows": str(job.row_count)}
    if end < job.row_count:
        members["pageToken"] = f"{job.job_id}:{end}"
    return _text(bigquery_jobs.answer("bigquery#tableDataList", members, rows if job.row_count else None))


def _results(kind: str, jobs: bigquery_jobs.Jobs, job: bigquery_jobs.Job, start: int, maximum: Any) -> Response:
    rows, end = jobs.page(job, start, _count(maximum))
    members: dict[str, Any] = {
        "schema": job.schema,
        "jobReference": {"projectId": credentials.GA4_PROJECT, "jobId": job.job_id, "location": "US"},
        "jobComplete": True,
        "totalRows": str(job.row_count),
        "totalBytesProcessed": str(job.row_count * 1200),
        "cacheHit": False,
    }
    if end < job.row_count:
        members["pageToken"] = str(end)
    return _text(bigquery_jobs.answer(kind, members, rows if job.row_count else None))
