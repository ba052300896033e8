"""The sandbox's BigQuery against Google's discovery document, Google's own authentication, and the world's events."""

from __future__ import annotations

import json
import time

import duckdb
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from connectors.sandbox import bigquery_jobs
from tests.openapi import Document
from tests.vendor_clients import READ_ONLY, BigQueryApi

DATASET = "`kizuna-shop.analytics_123456789.%s`"


def table(name):
    return DATASET.replace("%s", name)


@pytest.fixture
def api(standing_sandbox):
    """A client of the shop that nobody changes."""
    return BigQueryApi(standing_sandbox.environment())


@pytest.fixture
def own_api(sandbox):
    """A client of a shop of the test's own, to write to."""
    return BigQueryApi(sandbox.environment())


@pytest.fixture(scope="session")
def document(shared):
    return Document.discovery(shared / "vendor-specs/ga4/bigquery.v2.json")


@pytest.fixture
def events(world):
    def counted(select, where="true"):
        source = f"read_parquet('{world.path('ga4_events')}')"
        return duckdb.connect().sql(f"select {select} from {source} where {where}").fetchall()

    return counted


def other_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def test_an_assertion_signed_with_another_key_gives_no_token(standing_sandbox):
    account = json.loads(standing_sandbox.environment()["GA4_CREDENTIALS_JSON"]) | {"private_key": other_key()}
    signed = service_account.Credentials.from_service_account_info(account, scopes=[READ_ONLY])
    with pytest.raises(RefreshError, match="invalid_grant"):
        signed.refresh(Request())


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"iss": "someone@else.example"}, "invalid_grant"),
        ({"aud": "https://elsewhere.example/token"}, "invalid_grant"),
        ({"exp": 1, "iat": 0}, "invalid_grant"),
        ({"exp": int(time.time()) + 7200}, "invalid_grant"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, "invalid_scope"),
        ({}, None),
    ],
)
def test_claims_are_checked(standing_sandbox, change, error):
    account = json.loads(standing_sandbox.environment()["GA4_CREDENTIALS_JSON"])
    now = int(time.time())
    claims = {"iss": account["client_email"], "aud": account["token_uri"], "iat": now, "exp": now + 3600}
    signer = crypt.RSASigner.from_service_account_info(account)
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": jwt.encode(signer, claims | {"scope": READ_ONLY} | change).decode(),
    }
    answer = requests.post(account["token_uri"], data=form, timeout=10)
    assert answer.json().get("error") == error
    assert answer.status_code == (200 if error is None else 400)


def test_tables_are_listed_page_by_page_the_last_day_intraday(api, document, events):
    names, token = [], None
    while True:
        answer = api("GET", api.tables, maxResults=100, **({"pageToken": token} if token else {})).json()
        document.check("TableList", answer)
        names += [entry["tableReference"]["tableId"] for entry in answer["tables"]]
        token = answer.get("nextPageToken")
        if token is None:
            break
    days = events("table_date, bool_and(is_intraday)", "true group by 1 order by 2, 1")
    assert names == [f"events_{'intraday_' if is_intraday else ''}{day}" for day, is_intraday in days]
    assert names[-1] == "events_intraday_20261018"
    assert answer["totalItems"] == len(names)


def test_a_table_tells_its_columns_as_the_export_has_them(shared, api, document, events):
    answer = api("GET", f"{api.tables}/events_20261017").json()
    document.check("Table", answer)
    assert answer["numRows"] == str(events("count(*)", "table_date = '20261017'")[0][0])
    authored = json.loads((shared / "vendor-specs/ga4/bigquery-events.authored-schema.json").read_text())

    def is_part(ours, theirs):
        known = {field["name"]: field for field in theirs}
        for field in ours:
            expected = known[field["name"]]
            assert (field["type"], field["mode"]) == (expected["type"], expected["mode"]), field["name"]
            is_part(field.get("fields", []), expected.get("fields", []))

    is_part(answer["schema"]["fields"], authored)


def test_a_query_gives_every_event_of_its_day_as_json(api, document, events):
    answer = api.query(f"SELECT TO_JSON_STRING(t) AS event FROM {table('events_20261017')} AS t")
    document.check("QueryResponse", answer.json())
    shown = [json.loads(row["f"][0]["v"]) for row in answer.json()["rows"]]
    columns = "* exclude (table_date, is_intraday)"
    whole = events(f"to_json(e) from (select {columns}", "table_date = '20261017') e")
    assert sorted(map(json.dumps, shown)) == sorted(json.dumps(json.loads(row[0])) for row in whole)
    assert isinstance(shown[0]["event_timestamp"], int)


def test_results_are_paged_and_end(api, document, events):
    pages = api.all_rows(f"SELECT event_name FROM {table('events_20261017')}", maxResults=7)
    counted = events("count(*)", "table_date = '20261017'")[0][0]
    assert [len(page) for page in pages[:-1]] == [7] * (len(pages) - 1)
    assert sum(map(len, pages)) == counted > 7


@pytest.mark.parametrize("small_rows", [10, 100_000], ids=["from a file", "from memory"])
def test_no_page_is_larger_than_the_vendor_sends(api, events, monkeypatch, small_rows):
    assert bigquery_jobs.PAGE_BYTES == 10_000_000
    monkeypatch.setattr(bigquery_jobs, "PAGE_BYTES", 100_000)
    monkeypatch.setattr(bigquery_jobs, "SMALL_ROWS", small_rows)
    pages = api.all_rows(f"SELECT TO_JSON_STRING(t) AS event FROM {table('events_2026100*')} AS t")
    sizes = [sum(len(row["f"][0]["v"].encode()) for row in page) for page in pages]
    assert max(sizes) < 100_000
    assert len(pages) > 2
    seen = [json.loads(row["f"][0]["v"]) for page in pages for row in page]
    assert len(seen) == events("count(*)", "table_date like '2026100%'")[0][0]
    assert not any("_TABLE_SUFFIX" in event for event in seen)


def test_table_data_is_nested_and_says_the_same_as_the_query(api, document):
    fields = api("GET", f"{api.tables}/events_20261017").json()["schema"]["fields"]
    rows, token = [], None
    while True:
        given = {"pageToken": token} if token else {}
        answer = api("GET", f"{api.tables}/events_20261017/data", maxResults=40, **given).json()
        document.check("TableDataList", answer)
        rows += answer["rows"]
        token = answer.get("pageToken")
        if token is None:
            break
    asked = api.query(f"SELECT TO_JSON_STRING(t) AS event FROM {table('events_20261017')} AS t").json()
    expected = [json.loads(row["f"][0]["v"]) for row in asked["rows"]]
    assert sorted(json.dumps(decoded(row, fields)) for row in rows) == sorted(map(json.dumps, expected))


def decoded(record, fields):
    """A record from its wire form, by the table's schema, as any client does it."""
    casts = {"INTEGER": int, "FLOAT": float, "BOOLEAN": lambda v: v == "true", "STRING": str}

    def cell(value, field):
        if value is None:
            return None
        return decoded(value, field["fields"]) if field["type"] == "RECORD" else casts[field["type"]](value)

    def whole(value, field):
        return [cell(item["v"], field) for item in value] if field["mode"] == "REPEATED" else cell(value, field)

    return {f["name"]: whole(c["v"], f) for f, c in zip(fields, record["f"], strict=True)}


def test_the_dataset_is_listed(api, document):
    answer = api("GET", "/datasets").json()
    document.check("DatasetList", answer)
    assert answer["datasets"][0]["datasetReference"]["datasetId"] == api.dataset


def test_selected_fields_are_the_only_ones(api):
    answer = api("GET", f"{api.tables}/events_20261017/data", maxResults=1, selectedFields="event_name,user_pseudo_id")
    assert len(answer.json()["rows"][0]["f"]) == 2


def test_wildcards_cover_days_by_suffix(api, events):
    where = "_TABLE_SUFFIX BETWEEN '20261001' AND '20261007'"
    sql = f"SELECT COUNT(*) AS n, event_name FROM {table('events_*')} WHERE {where} GROUP BY event_name"
    shown = {row["f"][1]["v"]: int(row["f"][0]["v"]) for row in api.query(sql).json()["rows"]}
    counted = events("event_name, count(*)", "table_date between '20261001' and '20261007' group by 1")
    assert shown == dict(counted) != {}


def test_parameters_of_an_event_are_read_as_in_every_example(api, events):
    sql = (
        "SELECT (SELECT value.int_value FROM UNNEST(event_params) WHERE key = 'ga_session_id') AS session_id,"
        f" TIMESTAMP_MICROS(event_timestamp) FROM {table('events_20261017')}"
    )
    answer = api.query(sql).json()
    assert [field["name"] for field in answer["schema"]["fields"]] == ["session_id", "f1_"]
    has_id = "len(list_filter(event_params, lambda p: p.key = 'ga_session_id')) > 0"
    shown = [row["f"][0]["v"] for row in answer["rows"]]
    counted = events(f"count(*) filter ({has_id})", "table_date = '20261017'")[0][0]
    assert sum(value is not None for value in shown) == counted > 0


def test_a_days_intraday_table_is_gone_when_its_daily_table_is_there(sandbox, own_api):
    assert own_api("GET", f"{own_api.tables}/events_20261018").status_code == 404
    sandbox.execute(
        "update ga4_events set is_intraday = false where table_date = '20261018' and event_name <> 'scroll'"
    )
    assert own_api("GET", f"{own_api.tables}/events_20261018").status_code == 200
    assert own_api("GET", f"{own_api.tables}/events_intraday_20261018").status_code == 404


def test_late_events_move_the_time_of_change_of_their_day_alone(sandbox, own_api):
    def modified(day):
        return int(own_api("GET", f"{own_api.tables}/events_{day}").json()["lastModifiedTime"])

    before = modified("20261016"), modified("20261015")
    assert modified("20261016") == before[0]
    sandbox.execute("insert into ga4_events select * from ga4_events where table_date = '20261016' limit 1")
    late = modified("20261016")
    assert late > before[0]
    assert modified("20261015") == before[1]
    sandbox.execute("update ga4_events set user_id = 'late' where table_date = '20261016'")
    assert modified("20261016") > late


@pytest.mark.parametrize(
    ("sql", "status", "reason"),
    [
        (f"SELECT nothing FROM {table('events_20261017')}", 400, "invalidQuery"),
        ("SELEC 1", 400, "invalidQuery"),
        (f"SELECT 1 FROM {table('events_20990101')}", 404, "notFound"),
        ("SELECT 1 FROM `kizuna-shop.analytics_1.events_20261017`", 404, "notFound"),
        ("SELECT 1 FROM `someone-else.analytics_123456789.events_20261017`", 403, "accessDenied"),
        (f"DELETE FROM {table('events_20261017')} WHERE true", 403, "accessDenied"),
    ],
)
def test_wrong_queries_get_googles_envelope(api, sql, status, reason):
    answer = api.query(sql)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == status
    assert error["errors"][0]["reason"] == reason


def test_legacy_sql_is_the_default_and_refused(api):
    answer = api("POST", "/queries", {"query": f"SELECT 1 FROM {table('events_20261017')}"})
    assert answer.status_code == 400


def test_a_wrong_token_is_unauthenticated(api):
    api.token = "ya29.invented"
    assert api("GET", api.tables).json()["error"]["status"] == "UNAUTHENTICATED"
