"""Shopify's GraphQL Admin API 2026-10: token endpoint, query cost, paged queries, bulk operations, a few mutations.

The schema is `shopify.graphql`; graphql-core validates and executes it over rows that DuckDB has written as JSON.
"""

import functools
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, request
from graphql import (
    DocumentNode,
    ExecutionResult,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    execute,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values

from connectors.sandbox import credentials
from connectors.sandbox.shopify_bulk import BulkOperations
from connectors.sandbox.shopify_cost import SINGLE_QUERY_LIMIT, Bucket, CostMeter
from connectors.sandbox.shopify_reader import Reader
from connectors.sandbox.shopify_resolvers import Context, bind_resolvers, resolve_field, resolve_type
from connectors.sandbox.shopify_rows import Selection
from connectors.sandbox.shopify_types import ENTITIES
from connectors.sandbox.shopify_writes import Writer
from connectors.sandbox.state import State
from connectors.sandbox.tokens import pace, tokens

VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")
"""The supported versions; a request for any other is served by the oldest, without a word."""

TOKEN_SECONDS = 24 * 3600 - 1
SCOPES = "read_all_orders,read_customers,read_orders,read_products,write_customers"


def blueprint(state: State) -> Blueprint:
    schema = served_schema()
    bulk = BulkOperations(state, schema)
    buckets: dict[str, Bucket] = {}
    vendor = Blueprint("shopify", __name__, url_prefix="/shopify")

    @vendor.post("/admin/oauth/access_token")
    def access_token() -> tuple[dict[str, Any], int]:
        asked = request.get_json(silent=True) or request.form
        if asked.get("grant_type") != "client_credentials":
            return {"error": "unsupported_grant_type", "error_description": "grant_type is not supported"}, 400
        expected = (credentials.SHOPIFY_CLIENT_ID, credentials.SHOPIFY_CLIENT_SECRET)
        if (asked.get("client_id"), asked.get("client_secret")) != expected:
            return {"error": "invalid_client", "error_description": "client_id or client_secret is wrong"}, 401
        token = tokens().issue("shopify", TOKEN_SECONDS, prefix="shpat_")
        return {"access_token": token, "scope": SCOPES, "expires_in": TOKEN_SECONDS}, 200

    @vendor.post("/admin/api/graphql.json", defaults={"version": ""})
    @vendor.post("/admin/api/<version>/graphql.json")
    def graphql(version: str) -> Response:
        served = version if version in VERSIONS else VERSIONS[0]
        if not tokens().is_valid("shopify", request.headers.get("X-Shopify-Access-Token")):
            response = failure_answer(401)
        else:
            bucket = buckets.setdefault("app", Bucket(pace()))
            response = _answer(state, schema, bulk, bucket)
        response.headers["X-Shopify-API-Version"] = served
        response.headers["X-Request-Id"] = str(uuid.uuid4())
        return response

    @vendor.get("/bulk-results/<int:operation_id>.jsonl")
    def bulk_result(operation_id: int) -> Response:
        parts = bulk.parts(operation_id)
        if not bulk.is_signed(operation_id, request.args.get("Expires", ""), request.args.get("Signature", "")):
            return Response("<Error><Code>ExpiredToken</Code></Error>", status=400, content_type="application/xml")
        if not parts:
            return Response("<Error><Code>NoSuchKey</Code></Error>", status=404, content_type="application/xml")
        response = Response(_blocks(parts), mimetype="application/jsonl")
        response.content_length = sum(part.stat().st_size for part in parts)
        return response

    return vendor


def _blocks(parts: Iterable[Path]) -> Iterator[bytes]:
    """The parts' bytes behind one another, a megabyte at a time."""
    for part in parts:
        with open(part, "rb") as source:
            while block := source.read(1 << 20):
                yield block


@functools.cache
def served_schema() -> GraphQLSchema:
    """`shopify.graphql` with its resolvers; they keep nothing, so every sandbox of a process shares it."""
    schema = build_schema((Path(__file__).parent / "shopify.graphql").read_text())
    bind_resolvers(schema)
    return schema


def failure_answer(status: int) -> Response:
    """The vendor's body for an HTTP failure."""
    if status in {200, 429}:
        throttle = {"maximumAvailable": 2000.0, "currentlyAvailable": 0, "restoreRate": 100.0}
        return _json(_throttled(100, throttle), status)
    messages = {
        401: "[API] Invalid API key or access token (unrecognized login or wrong password)",
        402: "Unavailable Shop",
        403: "Forbidden",
        423: "Locked",
    }
    return _json({"errors": messages.get(status, "Internal Server Error")}, status)


def partial_answer(response: Response) -> Response | None:
    """Half an answer, as GraphQL has it: HTTP 200, the first field null, and the reason in `errors`."""
    answer = response.get_json(silent=True)
    if not answer or not answer.get("data"):
        return None
    first = next(iter(answer["data"]))
    answer["data"][first] = None
    answer["errors"] = [
        {
            "message": "Internal error. Looks like something went wrong on our end.",
            "path": [first],
            "extensions": {"code": "INTERNAL_SERVER_ERROR"},
        }
    ]
    return _json(answer, 200)


def expire_tokens() -> None:
    tokens().expire("shopify")


def dump(state: State) -> dict[str, Any]:
    """The shop's own side: the connectors only read it, so counts and a digest of what they could change suffice."""
    counts = {e.table: state.value(f"select count(*) from {e.table}") for e in ENTITIES.values()}
    digest = state.value(
        "select coalesce(bit_xor(hash(id, first_name, last_name, email, email_marketing_state, tags)), 0)::varchar"
        " from shopify_customers"
    )
    return {"rows": counts, "customers": digest}


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body, ensure_ascii=False), status=status, content_type="application/json; charset=utf-8")


def _throttled(requested: float, throttle: Mapping[str, Any]) -> dict[str, Any]:
    error = {
        "message": "Throttled",
        "extensions": {"code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"},
    }
    cost = {"requestedQueryCost": requested, "actualQueryCost": None, "throttleStatus": dict(throttle)}
    return {"errors": [error], "extensions": {"cost": cost}}


def _answer(state: State, schema: GraphQLSchema, bulk: BulkOperations, bucket: Bucket) -> Response:
    asked = request.get_json(silent=True)
    if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
        return _json({"errors": {"query": "Required parameter missing or invalid"}}, 400)
    try:
        document = parse(asked["query"])
    except GraphQLError as error:
        return _json({"errors": [error.formatted]})
    if errors := validate(schema, document):
        return _json({"errors": [error.formatted for error in errors]})
    operation = _operation(document, asked.get("operationName"))
    if operation is None:
        return _json({"errors": [{"message": "Must provide an operation name."}]})
    coerced = get_variable_values(schema, operation.variable_definitions or (), asked.get("variables") or {})
    if isinstance(coerced, list):
        return _json({"errors": [error.formatted for error in coerced]})
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    selection = Selection(fragments)
    meter = CostMeter(schema, selection, coerced)
    root = schema.mutation_type if operation.operation == OperationType.MUTATION else schema.query_type
    assert root is not None
    fields = list(selection.fields(operation.selection_set))
    requested = round(meter.requested(fields, root))
    if requested > SINGLE_QUERY_LIMIT:
        return _json(_too_expensive(requested))
    if not bucket.reserve(requested):
        return _json(_throttled(requested, bucket.status()))
    with state.cursor() as cursor:
        reader = Reader(state, cursor, schema, selection, coerced)
        context = Context(reader, Writer(state), bulk, request.host_url)
        result = execute(
            schema,
            document,
            variable_values=asked.get("variables"),
            operation_name=asked.get("operationName"),
            context_value=context,
            field_resolver=resolve_field,
            type_resolver=resolve_type,
        )
    assert isinstance(result, ExecutionResult)
    actual = min(round(meter.actual(fields, root, result.data)), requested)
    bucket.refund(requested - actual)
    cost = {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": bucket.status()}
    answer: dict[str, Any] = {}
    if result.errors:
        answer["errors"] = [error.formatted for error in result.errors]
    answer["data"] = result.data
    answer["extensions"] = {"cost": cost}
    if reader.warnings:
        answer["extensions"]["search"] = reader.warnings
    return _json(answer)


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    found = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if name:
        return next((d for d in found if d.name and d.name.value == name), None)
    return found[0] if len(found) == 1 else None


def _too_expensive(requested: int) -> dict[str, Any]:
    message = f"Query cost is {requested}, which exceeds the single query max cost limit ({SINGLE_QUERY_LIMIT})."
    extensions = {"code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": SINGLE_QUERY_LIMIT}
    return {"errors": [{"message": message, "extensions": extensions}]}
