"""Shopify's resolvers: which reader, writer or bulk operation answers each root field of the schema."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema

from connectors.sandbox import credentials
from connectors.sandbox.shopify_bulk import BulkLimitReached, BulkOperations, BulkQueryError
from connectors.sandbox.shopify_reader import RELATION_PREFIX, Reader
from connectors.sandbox.shopify_types import ENTITIES, ROOT_CONNECTIONS, ROOT_LOOKUPS, SHOP_CURRENCY
from connectors.sandbox.shopify_writes import Writer


@dataclass
class Context:
    """What the resolvers of one request share."""

    reader: Reader
    writer: Writer
    bulk: BulkOperations
    host_url: str


def resolve_field(source: Any, info: GraphQLResolveInfo, **_arguments: Any) -> Any:
    """A page row holds its relations under the response key and its other fields under their names."""
    relation = f"{RELATION_PREFIX}{info.path.key}"
    return source[relation] if relation in source else source.get(info.field_name)


def resolve_type(value: Mapping[str, Any], *_rest: Any) -> str:
    return str(value["__typename"])


def bind_resolvers(schema: GraphQLSchema) -> None:
    query, mutation = schema.query_type, schema.mutation_type
    assert query is not None and mutation is not None
    for name, entity in ROOT_CONNECTIONS.items():
        query.fields[name].resolve = _connection_resolver(entity)
        query.fields[f"{name}Count"].resolve = _count_resolver(entity)
    for name, entity in ROOT_LOOKUPS.items():
        query.fields[name].resolve = _lookup_resolver(entity)
    query.fields["node"].resolve = lambda _s, info, id: _nodes(info, [id])[0]
    query.fields["nodes"].resolve = lambda _s, info, ids: _nodes(info, ids)
    query.fields["shop"].resolve = lambda *_: _shop()
    query.fields["bulkOperation"].resolve = lambda _s, info, id: _bulk_operation(info.context, _bulk_id(id))
    query.fields["currentBulkOperation"].resolve = lambda _s, info, **_a: _current_bulk(info.context)
    mutation.fields["bulkOperationRunQuery"].resolve = _run_bulk_query
    mutation.fields["bulkOperationCancel"].resolve = _cancel_bulk
    for name in ("customerUpdate", "tagsAdd", "tagsRemove", "customerEmailMarketingConsentUpdate", "customerDelete"):
        mutation.fields[name].resolve = _write_resolver(mutation, name)


def _connection_resolver(entity: str) -> Callable[..., dict[str, Any]]:
    def resolve(_source: Any, info: GraphQLResolveInfo, **arguments: Any) -> dict[str, Any]:
        return info.context.reader.connection(entity, info.field_nodes[0], arguments)

    return resolve


def _count_resolver(entity: str) -> Callable[..., dict[str, Any]]:
    def resolve(_source: Any, info: GraphQLResolveInfo, **arguments: Any) -> dict[str, Any]:
        return info.context.reader.count(entity, arguments)

    return resolve


def _lookup_resolver(entity: str) -> Callable[..., dict[str, Any] | None]:
    def resolve(_source: Any, info: GraphQLResolveInfo, id: str) -> dict[str, Any] | None:
        return _load(info, entity, id)

    return resolve


def _load(info: GraphQLResolveInfo, entity: str, gid: str) -> dict[str, Any] | None:
    prefix, _, number = gid.rpartition("/")
    if prefix != f"gid://shopify/{entity}" or not number.isdigit():
        raise GraphQLError(f"Invalid global id '{gid}'", extensions={"code": "RESOURCE_NOT_FOUND"})
    return _nodes(info, [gid])[0]


def _nodes(info: GraphQLResolveInfo, ids: list[str]) -> list[dict[str, Any] | None]:
    """The objects with these ids, read a type at a time; None for what is not there."""
    reader: Reader = info.context.reader
    nodes = list(reader.selection.fields(info.field_nodes[0].selection_set))
    wanted: dict[str, list[int]] = {}
    for gid in ids:
        type_name, _, number = gid.removeprefix("gid://shopify/").partition("/")
        if number.isdigit():
            wanted.setdefault(type_name, []).append(int(number))
    found: dict[str, dict[str, Any] | None] = {}
    for type_name, numbers in wanted.items():
        if type_name in ENTITIES:
            rows = reader.by_ids(type_name, numbers, nodes)
            found |= {f"gid://shopify/{type_name}/{number}": row for number, row in rows.items()}
        elif type_name == "BulkOperation":
            for operation_id in numbers:
                found[f"gid://shopify/BulkOperation/{operation_id}"] = _bulk_operation(info.context, operation_id)
    return [found.get(gid) for gid in ids]


def _shop() -> dict[str, Any]:
    return {
        "__typename": "Shop",
        "id": "gid://shopify/Shop/1",
        "name": "Kizuna demo",
        "email": "owner@example.com",
        "currencyCode": SHOP_CURRENCY,
        "ianaTimezone": "Asia/Tokyo",
        "myshopifyDomain": f"{credentials.SHOPIFY_SHOP}.myshopify.com",
    }


def _bulk_id(gid: str) -> int:
    number = gid.removeprefix("gid://shopify/BulkOperation/")
    return int(number) if number.isdigit() else -1


def _bulk_operation(context: Context, operation_id: int) -> dict[str, Any] | None:
    return context.bulk.find(operation_id, context.host_url)


def _current_bulk(context: Context) -> dict[str, Any] | None:
    newest = context.bulk.newest()
    return None if newest is None else _bulk_operation(context, newest)


def _run_bulk_query(_source: Any, info: GraphQLResolveInfo, query: str, groupObjects: bool = False) -> dict[str, Any]:
    try:
        return {"bulkOperation": info.context.bulk.start(query, groupObjects), "userErrors": []}
    except BulkQueryError as error:
        code = "LIMIT_REACHED" if isinstance(error, BulkLimitReached) else "INVALID"
        return {"bulkOperation": None, "userErrors": [{"field": ["query"], "message": str(error), "code": code}]}


def _cancel_bulk(_source: Any, info: GraphQLResolveInfo, id: str) -> dict[str, Any]:
    info.context.bulk.cancel(_bulk_id(id))
    return {"bulkOperation": _bulk_operation(info.context, _bulk_id(id)), "userErrors": []}


def _write_resolver(mutation: GraphQLObjectType, name: str) -> Callable[..., dict[str, Any]]:
    def resolve(_source: Any, info: GraphQLResolveInfo, **arguments: Any) -> dict[str, Any]:
        return info.context.writer.write(name, arguments, info.context.reader, info.field_nodes[0])

    return resolve
