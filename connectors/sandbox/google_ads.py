"""Google Ads API v26 over REST, reporting only: `searchStream` and `search` over one account's campaigns by day."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import flask

from connectors.sandbox import ad_figures, credentials
from connectors.sandbox.state import State
from connectors.sandbox.tokens import tokens

PREFIX = "/google_ads/v26"
CHUNK, PAGE = 2000, 10_000
MANAGER = credentials.GOOGLE_ADS_LOGIN_CUSTOMER_ID
CUSTOMER = credentials.GOOGLE_ADS_CUSTOMER_ID
_FAILURE = "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure"
_QUERY = re.compile(r"SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<resource>\w+)(?:\s+WHERE\s+(?P<where>.+))?", re.S | re.I)
_BETWEEN = re.compile(r"segments\.date\s+BETWEEN\s+'(\d{4}-\d\d-\d\d)'\s+AND\s+'(\d{4}-\d\d-\d\d)'", re.I)
_FIELDS = {
    "customer.id", "customer.currency_code", "customer.time_zone", "campaign.id", "campaign.name", "campaign.status",
    "segments.date", "metrics.cost_micros", "metrics.impressions", "metrics.clicks", "metrics.conversions",
    "metrics.conversions_value",
}  # fmt: skip


class AdsError(Exception):
    """An error of the request, in Google's envelope."""

    def __init__(self, status: int, name: str, code: dict[str, str], message: str, **details: Any) -> None:
        super().__init__(message)
        self.status, self.name, self.code, self.details = status, name, code, details

    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"errorCode": self.code, "message": str(self)}
        if self.details:
            error["details"] = self.details
        failure = {"@type": _FAILURE, "errors": [error], "requestId": "sandbox-request"}
        return {"error": {"code": self.status, "message": str(self), "status": self.name, "details": [failure]}}


def blueprint(state: State) -> flask.Blueprint:
    """The API under `/google_ads/v26`; tokens come from the sandbox's Google, `/google/token`."""
    api = flask.Blueprint("google_ads", __name__, url_prefix=PREFIX)

    @api.before_request
    def check() -> None:
        scheme, _, token = flask.request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not tokens().is_valid("google_ads", token):
            raise _unauthenticated()

    @api.errorhandler(AdsError)
    def explain(error: AdsError) -> flask.Response:
        return _answer(error.body(), error.status)

    @api.get("/customers:listAccessibleCustomers")
    def accessible() -> Any:
        return {"resourceNames": [f"customers/{MANAGER}"]}

    @api.post("/customers/<customer>/googleAds:searchStream")
    def search_stream(customer: str) -> Any:
        _permitted(customer)
        fields, rows = _found(state)
        chunks = [rows[at : at + CHUNK] for at in range(0, max(len(rows), 1), CHUNK)]
        return _answer([_chunk(fields, chunk) | {"requestId": "sandbox-request"} for chunk in chunks])

    @api.post("/customers/<customer>/googleAds:search")
    def search(customer: str) -> Any:
        _permitted(customer)
        asked = flask.request.get_json(silent=True) or {}
        if "pageSize" in asked:
            raise _refused("PAGE_SIZE_NOT_SUPPORTED", "Setting the page size is not supported.", "requestError")
        fields, rows = _found(state)
        start = int(asked.get("pageToken") or 0)
        answer = _chunk(fields, rows[start : start + PAGE]) | {"totalResultsCount": str(len(rows))}
        return _answer(answer | ({"nextPageToken": str(start + PAGE)} if start + PAGE < len(rows) else {}))

    return api


def failure_answer(status: int) -> flask.Response:
    """Google's body for an HTTP failure; a limit names how long to wait."""
    if status == 429:
        quota = {"rateScope": "DEVELOPER", "rateName": "Requests per project", "retryDelay": "1s"}
        code = {"quotaError": "RESOURCE_TEMPORARILY_EXHAUSTED"}
        message = "Too many requests. Retry in 1 seconds."
        error = AdsError(429, "RESOURCE_EXHAUSTED", code, message, quotaErrorDetails=quota)
    elif status == 401:
        error = _unauthenticated()
    else:
        error = AdsError(status, "INTERNAL", {"internalError": "TRANSIENT_ERROR"}, "An internal error has occurred.")
    return _answer(error.body(), status)


def partial_answer(response: flask.Response) -> flask.Response | None:
    """A stream that broke off: some chunks, then an error where the status has long been sent."""
    chunks = response.get_json(silent=True)
    if not isinstance(chunks, list):
        return None
    error = AdsError(503, "UNAVAILABLE", {"internalError": "TRANSIENT_ERROR"}, "The service is unavailable.")
    response.set_data(json.dumps([*chunks[:-1], error.body()]))
    return response


def expire_tokens() -> None:
    tokens().expire("google_ads")


def dump(state: State) -> dict[str, Any]:
    """The account is only read: its size says enough."""
    return {"days": state.value("select count(*) from ad_days where platform = 'google_ads'")}


def _answer(body: Any, status: int = 200) -> flask.Response:
    answer = flask.Response(json.dumps(body), status=status, content_type="application/json; charset=UTF-8")
    answer.headers["request-id"] = "sandbox-request"
    return answer


def _unauthenticated() -> AdsError:
    code = {"authenticationError": "OAUTH_TOKEN_INVALID"}
    return AdsError(401, "UNAUTHENTICATED", code, "Request had invalid authentication credentials.")


def _refused(name: str, message: str, family: str = "queryError") -> AdsError:
    return AdsError(400, "INVALID_ARGUMENT", {family: name}, message)


def _permitted(customer: str) -> None:
    """The account is reached through its manager; the `developer-token` header is of no meaning any more."""
    if not customer.isdigit():
        raise _refused("INVALID_CUSTOMER_ID", "Invalid customer ID.", "requestError")
    if customer != CUSTOMER or flask.request.headers.get("login-customer-id") != MANAGER:
        message = (
            "User doesn't have permission to access customer. Note: If you're accessing a client customer, the "
            "manager's customer id must be set in the 'login-customer-id' header."
        )
        raise AdsError(403, "PERMISSION_DENIED", {"authorizationError": "USER_PERMISSION_DENIED"}, message)


def _found(state: State) -> tuple[list[str], list[dict[str, Any]]]:
    """The fields and rows a query asks for; only the part of the language that reports by day need."""
    query = str((flask.request.get_json(silent=True) or {}).get("query", "")).strip()
    matched = _QUERY.fullmatch(query)
    if matched is None:
        raise _refused("UNEXPECTED_INPUT", "Error in query: unexpected input.")
    if matched["resource"].lower() != "campaign":
        raise _refused("BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", "The sandbox knows the resource campaign only.")
    fields = [name.strip() for name in matched["fields"].split(",")]
    unknown = [name for name in fields if name not in _FIELDS]
    if unknown:
        raise _refused("UNRECOGNIZED_FIELD", f"Unrecognized field in the query: '{unknown[0]}'.")
    days = _BETWEEN.fullmatch((matched["where"] or "").strip())
    if days is None:
        raise _refused("EXPECTED_FILTERS_ON_DATE_RANGE", "The sandbox needs segments.date BETWEEN two dates.")
    since, until = (date.fromisoformat(day) for day in days.groups())
    return fields, [_row(day, fields) for day in ad_figures.days(state, "google_ads", since, until)]


def _row(day: ad_figures.Day, fields: list[str]) -> dict[str, Any]:
    everything: dict[str, Any] = {
        "customer.id": CUSTOMER,
        "customer.currency_code": "USD",
        "customer.time_zone": "Asia/Tokyo",
        "campaign.id": day.campaign_id,
        "campaign.name": day.name,
        "campaign.status": "ENABLED",
        "segments.date": str(day.date),
        "metrics.cost_micros": str(day.cost_micros),
        "metrics.impressions": str(day.impressions),
        "metrics.clicks": str(day.clicks),
        "metrics.conversions": float(day.by_click),
        "metrics.conversions_value": float(day.click_value),
    }
    names = {"customer": f"customers/{CUSTOMER}", "campaign": f"customers/{CUSTOMER}/campaigns/{day.campaign_id}"}
    row: dict[str, Any] = {}
    for field in fields:
        resource, _, name = field.partition(".")
        found = row.setdefault(resource, {"resourceName": names[resource]} if resource in names else {})
        # Proto3 leaves out what is zero.
        if everything[field] not in ("0", 0.0):
            found[_camel(name)] = everything[field]
    return row


def _chunk(fields: list[str], rows: list[dict[str, Any]]) -> dict[str, Any]:
    mask = ",".join(".".join(_camel(part) for part in field.split(".")) for field in fields)
    return {"results": rows, "fieldMask": mask, "queryResourceConsumption": "30"}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
