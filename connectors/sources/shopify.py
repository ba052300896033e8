"""Shopify (GraphQL Admin API 2026-10): customers with consent, orders with lines and refunds, products, checkouts.

Queries are written from the declared columns. Large windows are read by bulk operation, small ones by cursor. Odd:
`updated_at` of customers matches whole days; a version out of support is served as another one without an error;
throttling comes as HTTP 200.
"""

import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import requests
from pydantic import Field, SecretStr

from connectors.http import (
    AuthError,
    MalformedAnswer,
    RenewedToken,
    RequestRefused,
    Session,
    VendorDown,
    budget_of,
)
from connectors.settings import VendorConfig, vendor_settings
from connectors.shape import Shape, shape_of
from connectors.stream import Bookmark, Page, Source, Stream, columns

VERSION = "2026-10"
BULK_WINDOW = timedelta(days=3)
BULK_HOURS = 6
BULK_POLL_SECONDS = 0.2
# 600 orders with their lines took 43 s of waiting for the bucket to refill; a bulk operation costs ten points.
CURSOR_ROWS = 100
PAGE = {"orders": 25, "abandoned_checkouts": 25}
NESTED_PAGE = 50
IDS_AT_ONCE = 50
# List columns that are connections at the vendor; other lists are plain.
CONNECTIONS = {"lineItems": "LineItem", "variants": "ProductVariant"}
CHILD_PREFIX = {"abandoned_checkouts": "AbandonedCheckoutLineItem"}
ROOTS = {"abandoned_checkouts": ("abandonedCheckouts", "AbandonedCheckout", "CREATED_AT")}

M = "STRUCT(amount DECIMAL(18,4), currencyCode VARCHAR)"
MB = f"STRUCT(shopMoney {M})"
ID = "STRUCT(id VARCHAR)"
TEXT, TIME, FLAG = "VARCHAR", "TIMESTAMP", "BOOLEAN"
LINE = f"id VARCHAR, sku VARCHAR, title VARCHAR, quantity BIGINT, product {ID}, variant {ID}"

STREAMS = (
    Stream(
        "customers",
        columns(
            dict.fromkeys(("id", "legacyResourceId"), TEXT)
            | dict.fromkeys(("createdAt", "updatedAt"), TIME)
            | dict.fromkeys(("firstName", "lastName", "locale", "state"), TEXT)
            | {"tags": "VARCHAR[]", "verifiedEmail": FLAG, "numberOfOrders": "BIGINT", "amountSpent": M}
            | {
                "defaultEmailAddress": "STRUCT(emailAddress VARCHAR, marketingState VARCHAR, "
                "marketingOptInLevel VARCHAR, marketingUpdatedAt TIMESTAMP, validFormat BOOLEAN)",
                "defaultPhoneNumber": "STRUCT(phoneNumber VARCHAR, smsMarketingConsent STRUCT(state VARCHAR, "
                "optInLevel VARCHAR, updatedAt TIMESTAMP, collectedFrom VARCHAR))",
                "defaultAddress": "STRUCT(address1 VARCHAR, address2 VARCHAR, city VARCHAR, provinceCode VARCHAR, "
                "countryCodeV2 VARCHAR, zip VARCHAR, phone VARCHAR)",
            },
            required=("id", "createdAt", "updatedAt"),
            personal=("firstName", "lastName", "defaultEmailAddress", "defaultPhoneNumber", "defaultAddress"),
        ),
        cursor="updatedAt",
    ),
    Stream(
        "orders",
        columns(
            dict.fromkeys(("id", "name"), TEXT)
            | dict.fromkeys(("createdAt", "updatedAt", "processedAt", "cancelledAt"), TIME)
            | {"cancelReason": TEXT, "test": FLAG, "email": TEXT}
            | dict.fromkeys(("displayFinancialStatus", "displayFulfillmentStatus"), TEXT)
            | dict.fromkeys(("currencyCode", "presentmentCurrencyCode"), TEXT)
            | {"customerAcceptsMarketing": FLAG, "sourceName": TEXT, "discountCodes": "VARCHAR[]", "customer": ID}
            | dict.fromkeys(("totalPriceSet", "subtotalPriceSet", "totalDiscountsSet", "totalTaxSet"), MB)
            | dict.fromkeys(("totalShippingPriceSet", "totalRefundedSet"), MB)
            | {
                "lineItems": "STRUCT(id VARCHAR, sku VARCHAR, title VARCHAR, quantity BIGINT, currentQuantity BIGINT, "
                f"product {ID}, variant {ID}, originalUnitPriceSet {MB}, discountedUnitPriceSet {MB})[]",
                "refunds": f"STRUCT(id VARCHAR, createdAt TIMESTAMP, totalRefundedSet {MB})[]",
            },
            required=("id", "createdAt", "updatedAt", "currencyCode", "totalPriceSet", "lineItems"),
            personal=("email",),
        ),
        cursor="updatedAt",
    ),
    Stream(
        "products",
        columns(
            dict.fromkeys(("id", "title", "vendor", "productType", "handle", "status"), TEXT)
            | {"tags": "VARCHAR[]", "createdAt": TIME, "updatedAt": TIME}
            | {"variants": "STRUCT(id VARCHAR, sku VARCHAR, title VARCHAR, price DECIMAL(18,4))[]"},
            required=("id", "updatedAt", "title"),
        ),
        cursor="updatedAt",
    ),
    Stream(
        "abandoned_checkouts",
        columns(
            dict.fromkeys(("id", "name"), TEXT)
            | dict.fromkeys(("createdAt", "updatedAt", "completedAt"), TIME)
            | {"abandonedCheckoutUrl": TEXT, "customer": ID, "discountCodes": "VARCHAR[]", "totalPriceSet": MB}
            | {"lineItems": f"STRUCT({LINE})[]"},
            required=("id", "createdAt", "updatedAt"),
            personal=("abandonedCheckoutUrl",),
        ),
        cursor="updatedAt",
    ),
)


class ShopifyConfig(VendorConfig):
    """An app of the shop's own organisation, by the client-credentials grant."""

    model_config = vendor_settings("SHOPIFY_")

    shop: str = Field(description="Shopify shop name, the part before .myshopify.com")
    client_id: str = Field(description="Client id of the shop's own Shopify app")
    client_secret: SecretStr = Field(description="Client secret of the shop's own Shopify app")
    base_url: str | None = Field(default=None, description="Another address of Shopify, for the sandbox")

    @property
    def root(self) -> str:
        return (self.base_url or f"https://{self.shop}.myshopify.com").rstrip("/") + "/admin"


def root_of(stream: Stream) -> tuple[str, str, str]:
    """(root field, type name, sort key) of a stream."""
    return ROOTS.get(stream.name, (stream.name, stream.name.removesuffix("s").capitalize(), "UPDATED_AT"))


def selection(stream: Stream, *, is_bulk: bool) -> str:
    """The fields of a stream's rows, from its columns."""
    return " ".join(_selected(name, shape_of(type_text), is_bulk) for name, type_text in stream.types.items())


def _selected(name: str, shape: Shape, is_bulk: bool) -> str:
    inner = shape.element or shape
    if inner.fields is None:
        return name
    fields = " ".join(_selected(child, child_shape, is_bulk) for child, child_shape in inner.fields.items())
    if name not in CONNECTIONS:
        return f"{name}{{{fields}}}"
    if is_bulk:
        return f"{name}{{edges{{node{{{fields}}}}}}}"
    return f"{name}(first:{NESTED_PAGE}){{nodes{{{fields}}} pageInfo{{hasNextPage endCursor}}}}"


def page_query(stream: Stream, fields: str) -> str:
    root, _, sort_key = root_of(stream)
    return (
        f"query($first:Int,$after:String,$query:String){{{root}(first:$first,after:$after,query:$query,"
        f"sortKey:{sort_key}){{nodes{{{fields}}} pageInfo{{hasNextPage endCursor}}}}}}"
    )


def bulk_query(stream: Stream, since: datetime | None, fields: str) -> str:
    given = f"(query:{json.dumps(filter_of(stream, since))})" if since else ""
    return f"{{{root_of(stream)[0]}{given}{{edges{{node{{{fields}}}}}}}}}"


def filter_of(stream: Stream, since: datetime | None) -> str | None:
    if since is None:
        return None
    start = since.replace(hour=0, minute=0, second=0) if stream.name == "customers" else since
    return f"updated_at:>='{start:%Y-%m-%dT%H:%M:%SZ}'"


RUN_BULK = (
    "mutation($query:String!){bulkOperationRunQuery(query:$query){bulkOperation{id status} "
    "userErrors{field message code}}}"
)
POLL_BULK = "query($id:ID!){bulkOperation(id:$id){status errorCode objectCount fileSize url}}"


class Shopify:
    """One shop, opened."""

    def __init__(self, config: ShopifyConfig) -> None:
        secret = config.client_secret.get_secret_value()
        form = {
            "client_id": config.client_id,
            "client_secret": secret,
            "grant_type": "client_credentials",
        }
        login = Session("shopify", variable="SHOPIFY_CLIENT_SECRET", secrets=(secret,))
        self._url = f"{config.root}/api/{VERSION}/graphql.json"
        self.session = Session(
            "shopify",
            RenewedToken(
                "SHOPIFY_CLIENT_SECRET",
                "X-Shopify-Access-Token",
                "",
                lambda: login.token(f"{config.root}/oauth/access_token", form),
            ),
            budget=budget_of(f"shopify {config.root}"),
            throttled=throttled,
            broken=broken,
            pace=pace,
            secrets=(secret,),
        )

    def read(self, stream: Stream, bookmark: Bookmark) -> Iterator[Page]:
        if self.is_large(stream, bookmark):
            fields = selection(stream, is_bulk=True)
            yield from self._bulk(bulk_query(stream, bookmark.since, fields), children_of(stream))
        else:
            yield from self._pages(stream, filter_of(stream, bookmark.since))

    def is_large(self, stream: Stream, bookmark: Bookmark) -> bool:
        """Whether so much is to be read that a bulk operation is kinder to the shop than pages of nested rows."""
        if bookmark.since is None or bookmark.as_of - bookmark.since > BULK_WINDOW:
            return True
        root = root_of(stream)[0]
        query = f"query($query:String){{{root}Count(query:$query){{count}}}}"
        _, answer = self._ask(query, {"query": filter_of(stream, bookmark.since)})
        counted = answer["data"][f"{root}Count"]
        return bool(counted and counted["count"] > CURSOR_ROWS)

    def keys(self, stream: Stream) -> Iterator[Page]:
        yield from self._bulk(bulk_query(stream, None, "id"), {})

    def fetch(self, stream: Stream, keys: Sequence[str]) -> Iterator[Page]:
        type_name = root_of(stream)[1]
        query = f"query($ids:[ID!]!){{nodes(ids:$ids){{...on {type_name}{{{selection(stream, is_bulk=False)}}}}}}}"
        for at in range(0, len(keys), IDS_AT_ONCE):
            body, answer = self._ask(query, {"ids": list(keys[at : at + IDS_AT_ONCE])})
            yield self._whole_page(stream, body, answer["data"]["nodes"], ("data", "nodes"))

    def _pages(self, stream: Stream, query: str | None) -> Iterator[Page]:
        root = root_of(stream)[0]
        text = page_query(stream, selection(stream, is_bulk=False))
        after, first = None, PAGE.get(stream.name, 100)
        while True:
            try:
                body, answer = self._ask(
                    text,
                    {"first": first, "after": after, "query": query},
                    partial(_page_problem, root, after),
                )
            except RequestRefused as error:
                # What a query costs is only known to the vendor: ask for less until it is allowed.
                if first == 1 or "MAX_COST_EXCEEDED" not in str(error):
                    raise
                first //= 2
                continue
            connection = answer["data"][root]
            yield self._whole_page(stream, body, connection["nodes"], ("data", root, "nodes"))
            if not connection["pageInfo"]["hasNextPage"]:
                return
            after = connection["pageInfo"]["endCursor"]

    def _whole_page(self, stream: Stream, body: bytes, rows: list[dict[str, Any]], path: tuple[str, ...]) -> Page:
        """The page with nested connections read to their ends: a basket may have more lines than one page shows."""
        unwrap = {name: "nodes" for name in CONNECTIONS if name in stream.types}
        is_long = False
        for row in filter(None, rows):
            for name in unwrap:
                nested = row[name]
                is_long = is_long or nested["pageInfo"]["hasNextPage"]
                while nested["pageInfo"]["hasNextPage"]:
                    more = self._nested(stream, row["id"], name, nested["pageInfo"]["endCursor"])
                    nested["nodes"] += more["nodes"]
                    nested["pageInfo"] = more["pageInfo"]
        if is_long:
            return Page([row for row in rows if row], unwrap=unwrap)
        return Page(body, path=path, unwrap=unwrap)

    def _nested(self, stream: Stream, row_id: str, name: str, after: str) -> Any:
        shape = shape_of(stream.types[name])
        field = _selected(name, shape, False).replace(f"first:{NESTED_PAGE}", f"first:{NESTED_PAGE},after:$after")
        query = f"query($id:ID!,$after:String){{node(id:$id){{...on {root_of(stream)[1]}{{{field}}}}}}}"
        _, answer = self._ask(query, {"id": row_id, "after": after})
        return answer["data"]["node"][name]

    def _bulk(self, query: str, children: dict[str, str]) -> Iterator[Page]:
        done = self._bulk_result(query)
        if not done["url"]:
            return
        with tempfile.TemporaryDirectory(prefix="kizuna-bulk-") as folder:
            path = Path(folder) / "result.jsonl"
            self.session.download(done["url"], path)
            if done["fileSize"] and int(done["fileSize"]) != path.stat().st_size:
                raise MalformedAnswer(f"shopify: bulk result is {path.stat().st_size} bytes, not {done['fileSize']}")
            yield Page(path, is_lines=True, children=children)

    def _bulk_result(self, query: str) -> Any:
        wait, patience_ends = BULK_POLL_SECONDS, time.monotonic() + BULK_HOURS * 3600
        operation: str | None = None
        while time.monotonic() < patience_ends:
            if operation is None:
                _, answer = self._ask(RUN_BULK, {"query": query})
                started = answer["data"]["bulkOperationRunQuery"]
                codes = {error["code"] for error in started["userErrors"]}
                if codes - {"LIMIT_REACHED", "OPERATION_IN_PROGRESS"}:
                    raise RequestRefused(f"shopify bulk: {started['userErrors'][0]['message']}", 200, answer)
                # Other apps of the shop may hold all five places: wait for one.
                operation = None if codes else started["bulkOperation"]["id"]
            else:
                _, answer = self._ask(POLL_BULK, {"id": operation})
                found = answer["data"]["bulkOperation"]
                if found["status"] == "COMPLETED":
                    return found
                if found["status"] in ("FAILED", "CANCELED", "CANCELING", "EXPIRED"):
                    raise VendorDown(f"shopify: bulk operation {found['status']} ({found['errorCode']})")
            time.sleep(wait)
            wait = min(wait * 1.5, 10.0)
        raise VendorDown(f"shopify: bulk operation not done after {BULK_HOURS} h")

    def _ask(
        self, query: str, variables: dict[str, Any], check: Callable[[Any], str | None] = lambda data: None
    ) -> tuple[bytes, Any]:
        """Send one GraphQL request. `check` looks at `data`; errors that will not pass by themselves are raised."""
        response, answer = self.session.request(
            "POST",
            self._url,
            json_body={"query": query, "variables": variables},
            check=lambda a: None if a.get("errors") else check(a["data"]),
        )
        served = response.headers.get("X-Shopify-API-Version")
        if served not in (None, VERSION):
            raise MalformedAnswer(f"shopify serves API version {served} instead of {VERSION}: {VERSION} is unsupported")
        for error in answer.get("errors") or ():
            code = (error.get("extensions") or {}).get("code", "")
            message = self.session.redact(f"shopify: {error.get('message')} ({code})")
            if code == "ACCESS_DENIED":
                raise AuthError(f"{message}; grant the app of SHOPIFY_CLIENT_ID the scope it names")
            raise RequestRefused(message, response.status_code, answer)
        return response.content, answer


def _page_problem(root: str, after: str | None, answered: Any) -> str | None:
    """A page that cannot be true: taken for one it would skip rows without a word."""
    connection = answered[root]
    info = connection["pageInfo"]
    if info["hasNextPage"] and not connection["nodes"]:
        return "an empty page in the middle"
    if info["hasNextPage"] and info["endCursor"] == after:
        return "the cursor stands still"
    return None


def children_of(stream: Stream) -> dict[str, str]:
    """List column → the prefix of its rows' ids in bulk results."""
    names = {name: CHILD_PREFIX.get(stream.name, kind) for name, kind in CONNECTIONS.items() if name in stream.types}
    return {name: f"gid://shopify/{kind}/" for name, kind in names.items()}


COST = re.compile(
    rb'"requestedQueryCost":\s*([\d.]+).*?"currentlyAvailable":\s*([\d.]+).*?"restoreRate":\s*([\d.]+)', re.DOTALL
)


def _seconds_short(response: requests.Response, reserve: float) -> float:
    """Seconds until the bucket holds the query's cost and `reserve` times it again."""
    found = COST.search(response.content[-2000:])
    if not found:
        return 0.0
    requested, available, restored = (float(value) for value in found.groups())
    return max(0.0, (requested * (1 + reserve) - available) / restored)


def throttled(response: requests.Response) -> float | None:
    """How long to wait when the answer, whatever its HTTP status, says THROTTLED."""
    if b'"THROTTLED"' not in response.content or b'"errors"' not in response.content:
        return None
    return max(0.1, _seconds_short(response, 0.0))


def pace(response: requests.Response) -> float:
    """Keep as much again as a query costs in the bucket: the shop's other apps come first."""
    return _seconds_short(response, 1.0) if response.ok else 0.0


def broken(response: requests.Response) -> str | None:
    """GraphQL's way of a 500: HTTP 200, half the data, and INTERNAL_SERVER_ERROR."""
    return "INTERNAL_SERVER_ERROR" if b'"INTERNAL_SERVER_ERROR"' in response.content else None


SOURCE = Source("shopify", ShopifyConfig, STREAMS, Shopify)
