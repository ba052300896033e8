"""The sandbox's Google Ads against the vendor's schema: query language, permission, limits, broken streams."""

from __future__ import annotations

import json

import jsonschema
import pytest
import requests
from google.auth.transport.requests import Request
from google.oauth2 import service_account

SCOPE = "https://www.googleapis.com/auth/adwords"
FIELDS = (
    "customer.id, customer.currency_code, campaign.id, campaign.name, segments.date, metrics.cost_micros, "
    "metrics.impressions, metrics.clicks, metrics.conversions, metrics.conversions_value"
)
QUERY = f"SELECT {FIELDS} FROM campaign WHERE segments.date BETWEEN '2026-10-01' AND '2026-10-18'"


class Api:
    """Plain HTTP with a token from Google's own library."""

    def __init__(self, variables, scope=SCOPE):
        account = json.loads(variables["GOOGLE_ADS_CREDENTIALS_JSON"])
        signed = service_account.Credentials.from_service_account_info(account, scopes=[scope])
        signed.refresh(Request())
        self.token = signed.token
        self.customers = f"{variables['GOOGLE_ADS_BASE_URL']}/v26/customers"
        self.customer = variables["GOOGLE_ADS_CUSTOMER_ID"]
        self.headers = {"login-customer-id": variables["GOOGLE_ADS_LOGIN_CUSTOMER_ID"]}

    def __call__(self, body, call="searchStream", customer=None, **headers):
        sent = {"Authorization": f"Bearer {self.token}"} | self.headers | headers
        address = f"{self.customers}/{customer or self.customer}/googleAds:{call}"
        return requests.post(address, json=body, headers=sent, timeout=10)


@pytest.fixture
def sandbox(standing_sandbox):
    standing_sandbox.faults.clear()
    return standing_sandbox


@pytest.fixture
def api(sandbox):
    return Api(sandbox.environment())


@pytest.fixture
def schema(shared):
    document = json.loads((shared / "vendor-specs/google-ads/reporting.v26.jsonschema.json").read_text("utf-8"))
    return lambda name: jsonschema.Draft7Validator(document | {"$ref": f"#/definitions/{name}"})


def error_code(answer):
    return answer.json()["error"]["details"][0]["errors"][0]["errorCode"]


def test_every_answer_is_as_specified(api, schema):
    chunks = api({"query": QUERY}).json()
    for chunk in chunks:
        schema("services.SearchGoogleAdsStreamResponse").validate(chunk)
    assert sum(len(chunk["results"]) for chunk in chunks) > 10
    paged = api({"query": QUERY}, call="search").json()
    schema("services.SearchGoogleAdsResponse").validate(paged)
    assert paged["results"] == [row for chunk in chunks for row in chunk["results"]]
    failure = dict(api({"query": "SELECT"}).json()["error"]["details"][0])
    assert failure.pop("@type").endswith("v26.errors.GoogleAdsFailure")
    schema("errors.GoogleAdsFailure").validate(failure)


def test_days_hold_money_in_millionths_and_fractions_of_conversions(api, sandbox):
    rows = [row for chunk in api({"query": QUERY}).json() for row in chunk["results"]]
    days = sandbox.execute(
        "SELECT count(*), sum(impressions) FROM ad_days WHERE platform = 'google_ads' AND activity_date >= '2026-10-01'"
    )
    assert (len(rows), sum(int(row["metrics"]["impressions"]) for row in rows)) == days[0]
    assert all(isinstance(row["metrics"]["costMicros"], str) for row in rows)
    conversions = [row["metrics"].get("conversions", 0) for row in rows]
    assert any(number % 1 for number in conversions)
    # Proto3 leaves out what is zero.
    assert 0 not in [row["metrics"].get("conversions", None) for row in rows]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "SELECT * FROM campaign"}, {"queryError": "UNRECOGNIZED_FIELD"}),
        ({"query": "SELECT campaign.shoe FROM campaign"}, {"queryError": "UNRECOGNIZED_FIELD"}),
        ({"query": "DELETE campaign"}, {"queryError": "UNEXPECTED_INPUT"}),
        ({"query": "SELECT campaign.id FROM campaign"}, {"queryError": "EXPECTED_FILTERS_ON_DATE_RANGE"}),
    ],
)
def test_query_that_cannot_be_is_refused(api, body, code):
    answer = api(body)
    assert (answer.status_code, error_code(answer)) == (400, code)


def test_a_page_size_is_refused(api):
    answer = api({"query": QUERY, "pageSize": 10}, call="search")
    assert (answer.status_code, error_code(answer)) == (400, {"requestError": "PAGE_SIZE_NOT_SUPPORTED"})


def test_account_is_reached_through_its_manager_and_needs_no_developer_token(api):
    for answer in (api({"query": QUERY}, customer="9999999999"), api({"query": QUERY}, **{"login-customer-id": ""})):
        assert (answer.status_code, error_code(answer)) == (403, {"authorizationError": "USER_PERMISSION_DENIED"})
    assert api({"query": QUERY}, **{"developer-token": "ignored"}).ok


def test_token_of_another_scope_is_refused(sandbox, api):
    stranger = Api(sandbox.environment(), scope="https://www.googleapis.com/auth/bigquery.readonly")
    answer = stranger({"query": QUERY})
    assert (answer.status_code, error_code(answer)) == (401, {"authenticationError": "OAUTH_TOKEN_INVALID"})


def test_limit_says_how_long_to_wait(sandbox, api):
    sandbox.fault("google_ads", "429")
    answer = api({"query": QUERY})
    error = answer.json()["error"]
    assert (answer.status_code, error["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert error_code(answer) == {"quotaError": "RESOURCE_TEMPORARILY_EXHAUSTED"}
    assert error["details"][0]["errors"][0]["details"]["quotaErrorDetails"]["retryDelay"] == "1s"


def test_stream_may_end_with_an_error_after_a_200(sandbox, api):
    sandbox.fault("google_ads", "partial")
    answer = api({"query": QUERY})
    assert (answer.status_code, answer.json()[-1]["error"]["code"]) == (200, 503)
