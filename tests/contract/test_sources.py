"""The promises every source and stream keeps, whoever the vendor is: declarations, landing, requests, credentials."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from graphql import GraphQLSchema, build_schema, parse, validate

from connectors.errors import AuthError, VendorDown
from connectors.extract import PullFailed, StreamResult, declare_source, pull
from connectors.lake import Lake
from connectors.sandbox.server import Sandbox
from connectors.sandbox.state import copy_prepared
from connectors.sandbox.world import World
from connectors.sources import SOURCES
from connectors.stream import Source, Stream
from tests.conftest import PACE
from tests.openapi import Document
from tests.swagger import Swagger

STREAMS = [(source, stream) for source in SOURCES for stream in source.streams]
NAMES = [f"{source.name}.{stream.name}" for source, stream in STREAMS]
every_stream = pytest.mark.parametrize(("source", "stream"), STREAMS, ids=NAMES)
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)

# How many rows the vendor has, counted without its API.
AT_THE_VENDOR = {
    "shopify.customers": "SELECT count(*) FROM shopify_customers",
    "shopify.orders": "SELECT count(*) FROM shopify_orders",
    "shopify.products": "SELECT count(*) FROM shopify_products",
    "shopify.abandoned_checkouts": "SELECT count(*) FROM shopify_checkouts",
    "hubspot.contacts": "SELECT count(*) FROM hubspot_contacts WHERE NOT archived",
    "hubspot.companies": "SELECT count(*) FROM hubspot_companies WHERE NOT archived",
    "hubspot.deals": "SELECT count(*) FROM hubspot_deals WHERE NOT archived",
    "hubspot.consents": "SELECT count(*) FROM hubspot_consents WHERE lower(email) IN "
    "(SELECT lower(email) FROM hubspot_contacts WHERE NOT archived)",
    "ga4.events": "SELECT count(*) FROM ga4_events",
    "mailchimp.members": "SELECT count(*) FROM mailchimp_members",
    "mailchimp.reports": "SELECT count(*) FROM mailchimp_campaigns",
    "mailchimp.email_activity": "SELECT count(*) FROM mailchimp_sends",
    "mailchimp.unsubscribes": "SELECT count(*) FROM mailchimp_unsubscribes",
    "meta.insights": "SELECT count(*) FROM ad_days WHERE platform = 'meta'",
    "google_ads.campaign_days": "SELECT count(*) FROM ad_days WHERE platform = 'google_ads'",
}
# Fields that identify people wherever they stand; whoever declares one marks it.
PERSONAL = {
    "email", "emailAddress", "email_address", "subscriberIdString", "phone", "mobilephone", "phoneNumber", "firstName",
    "lastName", "firstname", "lastname", "full_name", "address", "address1", "date_of_birth", "user_id",
    "user_pseudo_id", "abandonedCheckoutUrl", "unique_email_id", "email_id", "ip",
}  # fmt: skip


@dataclass
class Pulled:
    """A lake after two pulls of everything, and what was asked of the vendors meanwhile."""

    lake: Lake
    expected: dict[str, int]
    first: dict[str, StreamResult]
    second: dict[str, StreamResult]
    fingerprints: tuple[str, str]
    requests: list[dict[str, Any]]


@pytest.fixture(scope="module")
def pulled(world: World, prepared_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulled]:
    folder = tmp_path_factory.mktemp("pulled")
    copy_prepared(prepared_state, folder / "state")
    lake = Lake(folder / "lake")
    datasets = [f"raw/{source.name}/{stream.name}" for source, stream in STREAMS]
    with Sandbox(world, folder / "state", pace=PACE) as sandbox, pytest.MonkeyPatch.context() as environment:
        for name, value in (sandbox.environment() | {"KIZUNA_AS_OF": "2026-10-18T15:00:00Z"}).items():
            environment.setenv(name, value)
        # Fewer days are as good a test, and the whole year takes the longest of all streams.
        sandbox.execute("DELETE FROM ga4_events WHERE table_date < '20261010'")
        expected = {name: sandbox.execute(query)[0][0] for name, query in AT_THE_VENDOR.items()}
        results, fingerprints, requests = [], [], []
        for _ in range(2):
            for source in SOURCES:
                results += pull(source, lake)
                requests += sandbox.requests.last()
                sandbox.requests.clear()
            fingerprints.append(lake.fingerprint(*datasets))
        # A sweep asks in its own words: all keys, rows by key.
        sandbox.execute("DELETE FROM shopify_customers WHERE id = (SELECT min(id) FROM shopify_customers)")
        sandbox.execute(
            "DELETE FROM hubspot_contacts WHERE id = (SELECT min(id) FROM hubspot_contacts WHERE NOT archived)"
        )
        for source in SOURCES:
            pull(source, lake, sweep_every=timedelta(0))
            requests += sandbox.requests.last()
            sandbox.requests.clear()
        half = len(results) // 2
        by_name = [{f"{r.source}.{r.stream}": r for r in part} for part in (results[:half], results[half:])]
        yield Pulled(lake, expected, by_name[0], by_name[1], (fingerprints[0], fingerprints[1]), requests)


def _described(lake: Lake, path: str) -> dict[str, str]:
    with lake.connect() as connection:
        return {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE FROM read_parquet('{path}')").fetchall()}


def _normal(types: dict[str, str]) -> dict[str, str]:
    return {name: re.sub(r'[\s"]', "", kind).lower() for name, kind in types.items()}


# ── declarations ──


@every_stream
def test_stream_declares_key_cursor_and_personal_fields(source: Source, stream: Stream) -> None:
    assert stream.key or stream.partition_by
    assert set(stream.key) <= set(stream.required)
    assert stream.cursor or stream.partition_by
    for column in stream.columns:
        names = set(re.findall(r"\w+", column.type)) | {column.name}
        if names & PERSONAL:
            assert column.is_personal, f"{column.name} holds {', '.join(sorted(names & PERSONAL))}"


@every_stream
def test_stream_of_an_unconfigured_vendor_is_an_empty_table(source: Source, stream: Stream, lake: Lake) -> None:
    assert pull(source, lake) == []
    path = lake.path("raw", source.name, stream.name, "schema.parquet")
    assert _normal(_described(lake, path)) == _normal(stream.table_types)
    with lake.connect() as connection:
        assert connection.execute(f"SELECT count(*) FROM read_parquet('{path}')").fetchall() == [(0,)]


@every_source
def test_declaring_again_writes_nothing(source: Source, lake: Lake) -> None:
    declare_source(source, lake)
    datasets = [f"raw/{source.name}/{stream.name}" for stream in source.streams]
    before = lake.fingerprint(*datasets)
    declare_source(source, lake)
    assert lake.fingerprint(*datasets) == before


# ── pulling ──


@every_stream
def test_pull_lands_every_row_of_the_vendor_once(source: Source, stream: Stream, pulled: Pulled) -> None:
    name = f"{source.name}.{stream.name}"
    expected = pulled.expected[name]
    result = pulled.first[name]
    assert expected > 0
    assert (result.rows, result.rejected) == (expected, 0)
    assert result.requests > 0
    assert result.bytes > 0
    assert result.seconds > 0
    assert result.commits
    with pulled.lake.connect() as connection:
        keys = ", ".join(stream.key) or "event_name"
        files = [pulled.lake.path("raw", source.name, stream.name, commit) for commit in result.commits]
        found = connection.execute(
            f"SELECT count(*), count(DISTINCT ({keys})), bool_or(_is_deleted) FROM read_parquet(?)", [files]
        ).fetchall()
    assert found[0][0] == expected
    assert found[0][2] is False
    if stream.key:
        assert found[0][1] == expected


@every_stream
def test_second_pull_lands_nothing(source: Source, stream: Stream, pulled: Pulled) -> None:
    result = pulled.second[f"{source.name}.{stream.name}"]
    assert (result.rows, result.rejected, result.deleted, result.commits) == (0, 0, 0, [])
    assert pulled.fingerprints[0] == pulled.fingerprints[1]


@every_stream
def test_landed_columns_are_the_declared_ones(source: Source, stream: Stream, pulled: Pulled) -> None:
    for file in pulled.lake.files(f"raw/{source.name}/{stream.name}"):
        assert _normal(_described(pulled.lake, file)) == _normal(stream.table_types)


@every_stream
def test_every_declared_column_is_filled_by_somebody(source: Source, stream: Stream, pulled: Pulled) -> None:
    """A typing error in a column's name would land as nothing but nulls."""
    never = {"archivedAt", "legalBasisExplanation", "setStatusSuccessReason"}
    with pulled.lake.connect() as connection:
        names = [c.name for c in stream.columns if c.name not in never]
        counts = ", ".join(f'count("{name}")' for name in names)
        files = pulled.lake.files(f"raw/{source.name}/{stream.name}")
        found = connection.execute(f"SELECT {counts} FROM read_parquet(?)", [files]).fetchall()[0]
    empty = [name for name, count in zip(names, found, strict=True) if not count]
    assert not empty


@every_stream
def test_bookmark_stands_at_the_newest_row_less_the_overlap(source: Source, stream: Stream, pulled: Pulled) -> None:
    result = pulled.second[f"{source.name}.{stream.name}"]
    if stream.cursor is None:
        assert result.bookmark is None
        return
    assert result.bookmark is not None
    with pulled.lake.connect() as connection:
        files = [
            pulled.lake.path("raw", source.name, stream.name, commit)
            for commit in pulled.first[f"{source.name}.{stream.name}"].commits
        ]
        newest = connection.execute(f'SELECT max("{stream.cursor}") FROM read_parquet(?)', [files]).fetchall()[0][0]
    assert result.bookmark.replace(tzinfo=None) == newest - stream.overlap


# ── credentials and outages ──

SECRETS = {
    "shopify": {"SHOPIFY_CLIENT_SECRET": "not-the-secret"},
    "hubspot": {"HUBSPOT_ACCESS_TOKEN": "pat-not-the-token"},
    "mailchimp": {"MAILCHIMP_API_KEY": "ffffffffffffffffffffffffffffffff-us21"},
    "meta": {"META_ACCESS_TOKEN": "not-the-access-token"},
}
# A Google service account's key is its secret: one of somebody else's.
ACCOUNTS = {"ga4": "GA4_CREDENTIALS_JSON", "google_ads": "GOOGLE_ADS_CREDENTIALS_JSON"}


@every_source
def test_wrong_secret_names_its_variable_and_does_not_show(
    source: Source, environment: dict[str, str], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source.name in ACCOUNTS:
        variable = ACCOUNTS[source.name]
        account = json.loads(environment[variable]) | {"client_email": "stranger@example.iam"}
        wrong = {variable: json.dumps(account)}
    else:
        wrong = SECRETS[source.name]
    [(name, value)] = wrong.items()
    monkeypatch.setenv(name, value)
    with pytest.raises(PullFailed) as caught:
        pull(source, lake, streams=[source.streams[0].name])
    [error] = caught.value.errors.values()
    assert isinstance(error, AuthError)
    assert name in str(caught.value)
    assert ".env.example" in str(caught.value)
    for part in re.findall(r"[\w-]{12,}", value):
        assert part == name or part not in str(caught.value)


@every_source
def test_vendor_that_is_down_is_said_so_and_loses_nothing(
    source: Source, sandbox: Sandbox, environment: dict[str, str], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.execute("DELETE FROM ga4_events WHERE table_date < '20261015'")
    name = source.streams[0].name
    pull(source, lake, streams=[name])
    before = lake.fingerprint(f"raw/{source.name}/{name}")
    monkeypatch.setenv("KIZUNA_RETRY_SECONDS", "0.2")
    sandbox.fault(source.name, "down")
    with pytest.raises(PullFailed) as caught:
        pull(source, lake)
    assert set(caught.value.errors) == {stream.name for stream in source.streams}
    assert all(isinstance(error, VendorDown) for error in caught.value.errors.values())
    assert lake.fingerprint(f"raw/{source.name}/{name}") == before


# ── requests against the vendors' own specifications ──


@pytest.fixture(scope="module")
def shopify_schema(shared: Path) -> GraphQLSchema:
    text = (shared / "vendor-specs/shopify/admin-2026-10.full.graphql").read_text("utf-8")
    return build_schema(text, assume_valid=True)


def test_shopify_requests_are_valid_by_the_vendors_schema(pulled: Pulled, shopify_schema: GraphQLSchema) -> None:
    bodies = [json.loads(r["body"]) for r in pulled.requests if r["vendor"] == "shopify" and "graphql" in r["path"]]
    texts = {body["query"] for body in bodies}
    inner = {b["variables"]["query"] for b in bodies if "bulkOperationRunQuery" in b["query"]}
    assert len(inner) >= 8
    assert any("nodes(ids" in text for text in texts)
    for text in texts | inner:
        assert not validate(shopify_schema, parse(text)), text


def test_hubspot_requests_fit_the_vendors_specification(pulled: Pulled, shared: Path) -> None:
    document = json.loads((shared / "vendor-specs/hubspot/crm-read-v3.from-sdk.openapi.json").read_text("utf-8"))
    checker = Document(document["components"]["schemas"])
    checked = set()
    for request in (r for r in pulled.requests if r["vendor"] == "hubspot"):
        path = request["path"].removeprefix("/hubspot")
        # The document is of the numbered versions; the dated paths have the same bodies.
        path = re.sub(r"^/crm/objects/2026-09", "/crm/v3/objects", path)
        path = re.sub(r"^/crm/associations/2026-09", "/crm/v4/associations", path)
        if path.startswith("/communication-preferences/"):
            # Batch reads of statuses came with the dated versions, which the document does not cover.
            assert path == "/communication-preferences/2026-09/statuses/batch/read"
            continue
        matching = [
            methods[request["method"].lower()]
            for template, methods in sorted(document["paths"].items(), key=lambda item: "{" in item[0])
            if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path) and request["method"].lower() in methods
        ]
        assert matching, f"{request['method']} {path} is not in the specification"
        operation = matching[0]
        known = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        assert set(request["query"]) <= known, path
        if "requestBody" in operation:
            schema = next(iter(operation["requestBody"]["content"].values()))["schema"]
            checker.check(schema["$ref"].rsplit("/", 1)[-1], json.loads(request["body"]))
        checked.add((request["method"], path))
    assert len(checked) >= 9


def test_bigquery_requests_fit_the_discovery_document(pulled: Pulled, shared: Path) -> None:
    file = shared / "vendor-specs/ga4/bigquery.v2.json"
    document = json.loads(file.read_text("utf-8"))
    checker = Document.discovery(file)
    methods = [method for resource in document["resources"].values() for method in resource["methods"].values()]
    checked = set()
    for request in (r for r in pulled.requests if r["vendor"] == "bigquery" and "/bigquery/" in r["path"]):
        path = request["path"].removeprefix("/bigquery/v2/")
        matching = [
            method
            for method in methods
            if method["httpMethod"] == request["method"]
            and re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", method["path"]), path)
        ]
        assert matching, f"{request['method']} {path} is not in the discovery document"
        method = matching[0]
        for name in request["query"]:
            assert name in method["parameters"], f"{path} knows no parameter {name}"
        if request["body"]:
            checker.check(method["request"]["$ref"], json.loads(request["body"]))
        checked.add(method["id"])
    assert {"bigquery.tables.list", "bigquery.tables.get", "bigquery.jobs.query"} <= checked


def test_mailchimp_requests_fit_the_vendors_specification(pulled: Pulled, shared: Path) -> None:
    folder = shared / "vendor-specs/mailchimp"
    audience = Swagger(folder / "marketing-3.0-audience.swagger2.json")
    reports = Swagger(folder / "marketing-3.0-reports.swagger2.json")
    requests = [r for r in pulled.requests if r["vendor"] == "mailchimp"]
    assert len(requests) >= 60
    for request in requests:
        path = request["path"].removeprefix("/mailchimp/3.0")
        swagger = reports if path.startswith("/reports") else audience
        swagger.check_request(request["method"], path, request["query"], request["body"], frozenset())


def test_meta_requests_fit_the_vendors_specification(pulled: Pulled, shared: Path) -> None:
    document = json.loads((shared / "vendor-specs/meta/insights.v26.0.fields.json").read_text("utf-8"))
    known = set(document["objects"]["AdsInsights"]["fields"])
    edges = {(edge["node"], edge["method"], edge["endpoint"]): set(edge["params"]) for edge in document["edges"]}
    asked = [r for r in pulled.requests if r["vendor"] == "meta" and r["path"].endswith("/insights")]
    assert {r["method"] for r in asked} == {"GET", "POST"}
    for request in asked:
        sent = {name: values[0] for name, values in request["query"].items()}
        sent |= json.loads(request["body"]) if request["body"] else {}
        node = "AdAccount" if "/act_" in request["path"] else "AdReportRun"
        assert set(sent) - {"fields", "limit", "after"} <= edges[node, request["method"], "/insights"], request
        assert set(sent.get("fields", "spend").split(",")) <= known


def test_google_ads_requests_fit_the_vendors_schema(pulled: Pulled, shared: Path) -> None:
    document = json.loads((shared / "vendor-specs/google-ads/reporting.v26.jsonschema.json").read_text("utf-8"))
    asked = [r for r in pulled.requests if r["vendor"] == "google_ads"]
    assert len(asked) >= 5
    for request in asked:
        assert re.fullmatch(r"/google_ads/v26/customers/\d+/googleAds:searchStream", request["path"])
        assert "Developer-Token" not in request["headers"]
        schema = document | {"$ref": "#/definitions/services.SearchGoogleAdsStreamRequest"}
        jsonschema.Draft7Validator(schema).validate(json.loads(request["body"]))


def test_specification_checks_would_notice(shared: Path, shopify_schema: GraphQLSchema) -> None:
    assert validate(shopify_schema, parse("{customers(first:1){nodes{shoeSize}}}"))
    document = Document.discovery(shared / "vendor-specs/ga4/bigquery.v2.json")
    with pytest.raises(jsonschema.ValidationError):
        document.check("QueryRequest", {"query": "SELECT 1", "maxRows": 5})
