"""The sandbox's Shopify against the vendor's schema, the vendor's own client, and counts taken from the world."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
import requests
import shopify
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    build_schema,
    get_named_type,
    is_leaf_type,
    is_specified_scalar_type,
    parse,
    validate,
)
from shopify.api_version import Release

import connectors.sandbox
from connectors.sandbox import shopify_bulk
from connectors.sandbox.server import Sandbox
from connectors.sandbox.state import copy_prepared
from tests.vendor_clients import ShopifyApi

CUSTOMERS = (
    "query($after:String,$q:String){customers(first:40,after:$after,query:$q,sortKey:UPDATED_AT)"
    "{nodes{id updatedAt tags numberOfOrders amountSpent{amount} defaultEmailAddress{emailAddress marketingState}}"
    " pageInfo{hasNextPage endCursor}}}"
)
ORDERS = (
    "query($after:String,$q:String){orders(first:100,after:$after,query:$q,sortKey:UPDATED_AT)"
    "{nodes{id updatedAt} pageInfo{hasNextPage endCursor}}}"
)
MONEY = "{shopMoney{amount currencyCode}}"
BULK_ORDERS = (
    "{orders%s{edges{node{id name createdAt updatedAt customer{id} totalPriceSet"
    + MONEY
    + " refunds{id createdAt totalRefundedSet"
    + MONEY
    + "} lineItems{edges{node{id sku title quantity currentQuantity product{id} variant{id} discountedUnitPriceSet"
    + MONEY
    + "}}}}}}}"
)


@pytest.fixture
def api(standing_sandbox):
    """A client of the shop that nobody changes."""
    return ShopifyApi(standing_sandbox.environment())


@pytest.fixture
def own_api(sandbox):
    """A client of a shop of the test's own, to write to."""
    return ShopifyApi(sandbox.environment())


@pytest.fixture
def count(world):
    """Counts and sums taken from the world's files, without the sandbox."""

    def counted(select, table, where="true"):
        return (
            duckdb.connect()
            .sql(f"select {select} from read_parquet('{world.path(table)}') where {where}")
            .fetchall()[0][0]
        )

    return counted


def our_schema():
    return build_schema((Path(connectors.sandbox.__file__).parent / "shopify.graphql").read_text())


@pytest.fixture(scope="module")
def vendor_schema(shared):
    return build_schema((shared / "vendor-specs/shopify/admin-2026-10.full.graphql").read_text(), assume_valid=True)


def test_schema_is_a_part_of_the_vendors(vendor_schema):
    ours, theirs = our_schema(), vendor_schema
    for name, kind in ours.type_map.items():
        if name.startswith("__") or is_specified_scalar_type(kind):
            continue
        vendors = theirs.type_map.get(name)
        assert type(vendors) is type(kind), name
        if isinstance(kind, GraphQLEnumType):
            assert set(kind.values) <= set(vendors.values), name
        if isinstance(kind, GraphQLObjectType):
            assert {i.name for i in kind.interfaces} <= {i.name for i in vendors.interfaces}, name
        if not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType):
            continue
        for field_name, field in kind.fields.items():
            where = f"{name}.{field_name}"
            assert field_name in vendors.fields, where
            assert str(field.type) == str(vendors.fields[field_name].type), where
            for argument, declared in getattr(field, "args", {}).items():
                expected = vendors.fields[field_name].args[argument]
                assert str(declared.type) == str(expected.type), f"{where}({argument})"
                assert declared.default_value == expected.default_value, f"{where}({argument})"


@pytest.mark.parametrize("query", [CUSTOMERS, ORDERS, BULK_ORDERS % ""])
def test_queries_valid_here_are_valid_at_the_vendor(vendor_schema, query):
    assert validate(our_schema(), parse(query)) == []
    assert validate(vendor_schema, parse(query)) == []


def test_login_gives_a_token_for_a_day_and_no_other_is_accepted(standing_sandbox, api):
    variables = standing_sandbox.environment()
    good = api.login(variables["SHOPIFY_CLIENT_ID"], variables["SHOPIFY_CLIENT_SECRET"])
    assert good.json()["expires_in"] == 86399
    assert api.login(variables["SHOPIFY_CLIENT_ID"], "wrong").status_code == 401
    api.token = "shpat_invented"
    refused = api.post("{shop{name}}")
    assert refused.status_code == 401
    assert "Invalid API key" in refused.json()["errors"]


@pytest.mark.parametrize(("asked", "served"), [("2026-10", "2026-10"), ("2024-01", "2026-01"), ("2026-07", "2026-07")])
def test_a_version_out_of_support_is_served_as_the_oldest(standing_sandbox, asked, served):
    answer = ShopifyApi(standing_sandbox.environment(), version=asked).post("{shop{name currencyCode}}")
    assert answer.headers["X-Shopify-API-Version"] == served
    assert answer.json()["data"]["shop"]["currencyCode"] == "USD"


def test_paging_shows_every_customer_once_in_order(api, count):
    pages = api.pages(CUSTOMERS, "customers")
    rows = [row for page in pages for row in page]
    assert len(rows) == len({row["id"] for row in rows}) == count("count(*)", "shopify_customers")
    assert all(len(page) == 40 for page in pages[:-1])
    assert [row["updatedAt"] for row in rows] == sorted(row["updatedAt"] for row in rows)
    assert sum(int(row["numberOfOrders"]) for row in rows) == count(
        "count(*)", "shopify_orders", "customer_id is not null"
    )


def test_long_baskets_are_paged_to_their_end(standing_sandbox, api):
    order_id, lines = standing_sandbox.execute(
        "select order_id, count(*) from shopify_order_lines group by all order by 2 desc, 1 limit 1"
    )[0]
    query = (
        "query($id:ID!,$after:String){order(id:$id){lineItems(first:9,after:$after)"
        "{nodes{id quantity} pageInfo{hasNextPage endCursor}}}}"
    )
    seen, after = [], None
    while True:
        page = api.data(query, id=f"gid://shopify/Order/{order_id}", after=after)["order"]["lineItems"]
        seen += [node["id"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert len(seen) == len(set(seen)) == lines > 50


def test_customers_match_whole_days_and_orders_match_times(api, count):
    moment = count("quantile_disc(updated_at, 0.5)", "shopify_customers")
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    late = moment.replace(hour=23, minute=59, second=59)
    rows = [
        r for page in api.pages(CUSTOMERS, "customers", q=f"updated_at:>='{late:%Y-%m-%dT%H:%M:%SZ}'") for r in page
    ]
    assert len(rows) == count("count(*)", "shopify_customers", f"updated_at >= '{day}'")
    moment = count("quantile_disc(updated_at, 0.9)", "shopify_orders")
    query = f"updated_at:>='{moment:%Y-%m-%dT%H:%M:%SZ}' AND updated_at:<'2026-10-10T00:00:00Z'"
    rows = [row for page in api.pages(ORDERS, "orders", q=query) for row in page]
    condition = f"updated_at >= '{moment}' and updated_at < '2026-10-10'"
    assert len(rows) == count("count(*)", "shopify_orders", condition) > 100


def test_an_unknown_search_field_matches_everything_but_is_told(api, count):
    answer = api.post('{customersCount(query:"nonsense:1"){count} customers(first:1,query:"nonsense:1"){nodes{id}}}')
    assert answer.json()["data"]["customersCount"]["count"] == count("count(*)", "shopify_customers")
    assert answer.json()["extensions"]["search"][0]["warnings"][0]["code"] == "invalid_field"


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("test:true", "test"),
        ("financial_status:refunded OR financial_status:partially_refunded", "financial_status like '%REFUNDED'"),
        ("-financial_status:paid", "financial_status <> 'PAID'"),
        ("NOT (financial_status:paid) source_name:web", "financial_status <> 'PAID' and source_name = 'web'"),
        ("created_at:<2026-01-01", "created_at < '2026-01-01'"),
    ],
)
def test_search_terms_mean_what_they_say(api, count, query, condition):
    found = api.data("query($q:String){ordersCount(query:$q,limit:null){count precision}}", q=query)["ordersCount"]
    assert found == {"count": count("count(*)", "shopify_orders", condition), "precision": "EXACT"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{customers{nodes{id}}}", "BAD_REQUEST"),
        ("{customers(first:251){nodes{id}}}", "BAD_REQUEST"),
        ('{customers(first:1,after:"bogus"){nodes{id}}}', "BAD_REQUEST"),
        ('{customers(first:1,query:"updated_at:>=yesterday"){nodes{id}}}', "INVALID_QUERY"),
    ],
)
def test_requests_the_vendor_refuses_are_errors_in_a_200(api, query, code):
    answer = api.post(query)
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["extensions"]["code"] == code


def test_a_field_that_does_not_exist_is_an_error_without_data(api):
    answer = api.post("{customers(first:1){nodes{nickname}}}").json()
    assert "data" not in answer
    assert "nickname" in answer["errors"][0]["message"]


def test_a_query_above_the_single_limit_is_refused_before_it_runs(api):
    lines = "lineItems(first:250){nodes{product{id} variant{id}}}"
    deep = "{customers(first:250){nodes{orders(first:250){nodes{" + lines + "}}}}}"
    error = api.post(deep).json()["errors"][0]
    assert error["extensions"]["code"] == "MAX_COST_EXCEEDED"


def test_cost_follows_the_sizes_asked_for_and_the_rest_is_refunded(api):
    cost = api.post(CUSTOMERS).json()["extensions"]["cost"]
    assert 0 < cost["actualQueryCost"] <= cost["requestedQueryCost"] < 100
    empty = api.post(CUSTOMERS, q="updated_at:>='2030-01-01'").json()["extensions"]["cost"]
    assert empty["requestedQueryCost"] == cost["requestedQueryCost"]
    assert empty["actualQueryCost"] == 2
    observed = api.post("{orders(first:250){nodes{customer{id}}}}").json()["extensions"]["cost"]
    assert observed["requestedQueryCost"] == 24  # as quoted in the vendor's forum for a query of this shape


@pytest.mark.slow
def test_an_empty_bucket_answers_throttled_without_data(world, prepared_state, tmp_path):
    copy_prepared(prepared_state, tmp_path / "slow")
    with Sandbox(world, tmp_path / "slow", pace=0.0001) as slow:
        api = ShopifyApi(slow.environment())
        query = "{orders(first:60){nodes{id lineItems(first:40){nodes{id product{id}}} customer{id tags}}}}"
        throttled: dict = {}
        for _ in range(40):
            answer = api.post(query)
            throttled = answer.json()
            if "data" not in throttled:
                break
        assert answer.status_code == 200
        assert "data" not in throttled
        assert throttled["errors"][0]["extensions"]["code"] == "THROTTLED"
        cost = throttled["extensions"]["cost"]
        assert cost["actualQueryCost"] is None
        assert cost["throttleStatus"]["currentlyAvailable"] < cost["requestedQueryCost"]


@pytest.mark.slow
def test_bulk_gives_every_order_and_line_of_the_world(api, count):
    lines, statuses, operation = api.bulk(BULK_ORDERS % "")
    orders = [line for line in lines if "__parentId" not in line]
    children = [line for line in lines if "__parentId" in line]
    assert len(orders) == int(operation["rootObjectCount"]) == count("count(*)", "shopify_orders")
    assert len(children) == count("count(*)", "shopify_order_lines")
    assert len(lines) == int(operation["objectCount"])
    assert {child["__parentId"] for child in children} <= {order["id"] for order in orders}
    assert sum(len(order["refunds"]) for order in orders) == count("count(*)", "shopify_refunds")
    total = sum(round(float(order["totalPriceSet"]["shopMoney"]["amount"]) * 100) for order in orders)
    assert total == count("sum(total_price * 100)::bigint", "shopify_orders")
    assert statuses[0] == "CREATED"
    assert "RUNNING" in statuses
    assert statuses[-1] == "COMPLETED"


def test_bulk_and_pages_show_the_same_orders(api, count):
    since = count("quantile_disc(updated_at, 0.99)", "shopify_orders")
    query = f"updated_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'"
    fields = "id name customer{id} totalPriceSet" + MONEY
    nodes = "nodes{" + fields + " lineItems(first:150){nodes{id sku title}}} pageInfo{hasNextPage endCursor}"
    paged_text = "query($after:String,$q:String){orders(first:50,after:$after,query:$q){" + nodes + "}}"
    paged = {row["id"]: row for page in api.pages(paged_text, "orders", q=query) for row in page}
    bulk_text = "{orders(query:" + json.dumps(query) + "){nodes{" + fields + " lineItems{nodes{id sku title}}}}}"
    lines, _, _ = api.bulk(bulk_text)
    rebuilt = {line["id"]: line | {"lineItems": {"nodes": []}} for line in lines if "__parentId" not in line}
    for line in lines:
        if "__parentId" in line:
            parent = line.pop("__parentId")
            rebuilt[parent]["lineItems"]["nodes"].append(line)
    assert rebuilt == paged
    assert len(paged) > 20


def test_an_empty_bulk_result_has_no_file(api):
    lines, _, operation = api.bulk("{customers(query:\"updated_at:>'2030-01-01'\"){nodes{id}}}")
    assert (lines, operation["url"], operation["objectCount"]) == ([], None, "0")


def test_bulk_urls_are_signed(api):
    _, _, operation = api.bulk("{products{nodes{id}}}")
    forged = operation["url"].replace("Expires=1", "Expires=2")
    assert requests.get(operation["url"], timeout=10).ok
    assert requests.get(forged, timeout=10).status_code == 400


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("{shop{name}}", "at least one connection"),
        ("{orders{nodes{lineItems{nodes{id}}}}}", "must select the 'id' field"),
        ("{orders{nodes{nothing}}}", "nothing"),
        ("{orders{nodes{id}} products{nodes{id}}}", "exactly one top-level"),
        ('mutation{tagsAdd(id:"1",tags:[]){userErrors{message}}}', "exactly one query"),
        ("{orders{nodes{id refunds{id order{id lineItems{nodes{id}}}}}}}", "list field"),
        ("not graphql", "Invalid bulk query"),
    ],
)
def test_bulk_queries_the_vendor_refuses_are_user_errors(api, query, said):
    started = api.start_bulk(query)
    assert started["bulkOperation"] is None
    error = started["userErrors"][0]
    assert (error["code"], error["field"]) == ("INVALID", ["query"])
    assert said in error["message"]


def test_a_sixth_bulk_operation_has_to_wait(sandbox, own_api):
    for number in range(shopify_bulk.CONCURRENT_LIMIT):
        sandbox.execute(
            "insert into shopify_bulk_operations values (?, '', 'RUNNING', '2026-10-18', null, 0, 0, 0, null, null)",
            [900 + number],
        )
    assert own_api.start_bulk("{products{nodes{id}}}")["userErrors"][0]["code"] == "LIMIT_REACHED"


def test_a_deleted_customer_vanishes_and_its_orders_keep_no_link(sandbox, own_api, count):
    customer = count("arg_max(customer_id, updated_at)", "shopify_orders", "customer_id is not null")
    gid = f"gid://shopify/Customer/{customer}"
    sandbox.execute("delete from shopify_customers where id = ?", [customer])
    assert own_api.data("query($id:ID!){customer(id:$id){id}}", id=gid)["customer"] is None
    assert gid not in {row["id"] for page in own_api.pages(CUSTOMERS, "customers") for row in page}
    query = "query($q:String){orders(first:5,query:$q){nodes{id customer{id}}}}"
    orders = own_api.data(query, q=f"customer_id:{customer}")["orders"]["nodes"]
    assert orders
    assert all(order["customer"] is None for order in orders)
    lines, _, _ = own_api.bulk(f'{{orders(query:"customer_id:{customer}"){{nodes{{id customer{{id}}}}}}}}')
    assert lines
    assert all(line["customer"] is None for line in lines)


def test_a_write_moves_the_clock_and_the_change_is_found_by_time(sandbox, own_api, count):
    customer = f"gid://shopify/Customer/{count('min(id)', 'shopify_customers')}"
    before = sandbox.state.now()
    mutation = (
        'mutation($id:ID!){tagsAdd(id:$id,tags:["vip"]){node{id ... on Customer{tags updatedAt}} userErrors{message}}}'
    )
    written = own_api.data(mutation, id=customer)["tagsAdd"]
    assert written["userErrors"] == []
    assert "vip" in written["node"]["tags"]
    assert datetime.fromisoformat(written["node"]["updatedAt"]).replace(tzinfo=None) == before
    assert sandbox.state.now() > before
    found = own_api.data(CUSTOMERS, q=f"updated_at:>='{before:%Y-%m-%d}'")["customers"]["nodes"]
    assert customer in {row["id"] for row in found}


def test_wrong_writes_are_user_errors(own_api, count):
    ids = "query{customers(first:2,sortKey:ID){nodes{id defaultEmailAddress{emailAddress}}}}"
    one, two = own_api.data(ids)["customers"]["nodes"]
    update = "mutation($i:CustomerInput!){customerUpdate(input:$i){customer{id} userErrors{field message}}}"
    taken = own_api.data(update, i={"id": one["id"], "email": two["defaultEmailAddress"]["emailAddress"]})
    assert taken["customerUpdate"]["userErrors"][0]["message"] == "Email has already been taken"
    missing = own_api.data(update, i={"id": "gid://shopify/Customer/1"})["customerUpdate"]
    assert missing["customer"] is None
    assert missing["userErrors"] == [{"field": ["input", "id"], "message": "Customer does not exist"}]


def test_the_vendors_own_client_lists_pages_writes_and_reads_back(sandbox, own_api, count):
    variables = sandbox.environment()
    shopify.ApiVersion.define_version(Release("2026-10"))
    session = shopify.Session(f"{variables['SHOPIFY_SHOP']}.myshopify.com", "2026-10", own_api.token)
    shopify.ShopifyResource.activate_session(session)
    shopify.ShopifyResource.set_site(f"{variables['SHOPIFY_BASE_URL']}/admin/api/2026-10")
    try:
        client = shopify.GraphQL()
        seen, after = [], None
        while True:
            page = json.loads(client.execute(CUSTOMERS, {"after": after}))["data"]["customers"]
            seen += [node["id"] for node in page["nodes"]]
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        assert len(set(seen)) == count("count(*)", "shopify_customers")
        consent = {"marketingState": "UNSUBSCRIBED", "marketingOptInLevel": "SINGLE_OPT_IN"}
        written = json.loads(
            client.execute(
                "mutation($i:CustomerEmailMarketingConsentUpdateInput!){customerEmailMarketingConsentUpdate(input:$i)"
                "{customer{defaultEmailAddress{marketingState}} userErrors{field message code}}}",
                {"i": {"customerId": seen[0], "emailMarketingConsent": consent}},
            )
        )["data"]["customerEmailMarketingConsentUpdate"]
        assert written["userErrors"] == []
        read_back = json.loads(
            client.execute("query($id:ID!){customer(id:$id){defaultEmailAddress{marketingState}}}", {"id": seen[0]})
        )
        assert read_back["data"]["customer"] == written["customer"]
        assert read_back["data"]["customer"]["defaultEmailAddress"]["marketingState"] == "UNSUBSCRIBED"
    finally:
        shopify.ShopifyResource.clear_session()


@pytest.mark.slow
@pytest.mark.parametrize("root", ["customers", "orders", "products", "abandonedCheckouts"])
def test_every_field_of_every_record_is_served_as_declared(api, root):
    """graphql-core checks each value: an enum value or a null the schema forbids would be an error."""
    schema = our_schema()

    def selected(kind, depth):
        names = []
        for name, field in kind.fields.items():
            inner = get_named_type(field.type)
            if is_leaf_type(inner):
                names.append(name)
            elif inner.name.endswith("Connection"):
                if depth == 0 and name != "orders":
                    entity = get_named_type(inner.fields["nodes"].type)
                    names.append(
                        f"{name}(first:5){{nodes{{{selected(entity, depth + 1)}}} edges{{cursor node{{id}}}}}}"
                    )
            elif depth < 3:
                inside = selected(inner, depth + 1)
                names += [f"{name}{{{inside}}}"] if inside else []
        return " ".join(names)

    entity = get_named_type(get_named_type(schema.query_type.fields[root].type).fields["nodes"].type)
    fields = selected(entity, 0)
    page = f"nodes{{{fields}}} pageInfo{{hasNextPage endCursor}}"
    query = f"query($after:String){{{root}(first:20,after:$after,reverse:true){{{page}}}}}"
    after = None
    for _ in range(8):
        connection = api.data(query, after=after)[root]
        assert connection["nodes"]
        after = connection["pageInfo"]["endCursor"]
        if not connection["pageInfo"]["hasNextPage"]:
            break
