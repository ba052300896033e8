"""Pages of Shopify's objects: one set-based read for each relation of a page, whatever the number of rows on it.

A page row is a dictionary by GraphQL field name. Relations (connections, references, lists) are read for all rows of
the page at once before graphql-core walks it, and stand in the row under the query's own response key.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from duckdb import DuckDBPyConnection
from graphql import FieldNode, GraphQLError, GraphQLObjectType, GraphQLSchema
from graphql.execution.values import get_argument_values

from connectors.sandbox.shopify_rows import Selection, json_text, response_key, whole_object
from connectors.sandbox.shopify_search import SearchError, parse_search
from connectors.sandbox.shopify_types import ENTITIES, Connection, Entity, Leaf, Many, Object, One
from connectors.sandbox.state import State

PAGE_MAX = 250
RELATION_PREFIX = "@"
"""Marks a response key in a page row, so that an alias cannot hide a field."""


@dataclass
class Reader:
    """Reads for one request: one snapshot of the state, one cursor."""

    state: State
    cursor: DuckDBPyConnection
    schema: GraphQLSchema
    selection: Selection
    variables: Mapping[str, Any]
    warnings: list[dict[str, Any]] = field(default_factory=list)

    def connection(self, entity_name: str, node: FieldNode, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A page of a root connection with everything the query selects below it."""
        entity = ENTITIES[entity_name]
        try:
            search = parse_search(arguments.get("query"), entity.filters, "r", self.state.now())
        except (SearchError, ValueError) as error:
            raise GraphQLError(f"Invalid search query: {error}", extensions={"code": "INVALID_QUERY"}) from error
        if search.warnings:
            key = response_key(node)
            self.warnings.append({"path": [key], "query": arguments["query"], "warnings": search.warnings})
        where, values = f"({search.sql})", search.parameters
        if search.sql != "true":
            # a filtered list is a search, and the search index is behind the shop
            where, values = f"{where} and r.updated_at < ?", [*values, self.state.searchable_until("shopify")]
        pages = self._pages(entity_name, node, arguments, where, values, None)
        return pages.get(None) or _connection([], False, None)

    def count(self, entity_name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """How many there are, counted up to `limit` as the vendor does."""
        entity = ENTITIES[entity_name]
        search = parse_search(arguments.get("query"), entity.filters, "r", self.state.now())
        sql = f"select count(*) from {entity.table} r where {search.sql}"
        found = self.cursor.execute(sql, search.parameters).fetchall()[0][0]
        limit = arguments.get("limit")
        is_cut = limit is not None and found > limit
        return {"count": limit if is_cut else found, "precision": "AT_LEAST" if is_cut else "EXACT"}

    def by_ids(self, entity_name: str, ids: Sequence[int], nodes: Sequence[FieldNode]) -> dict[int, dict[str, Any]]:
        """The entities with these ids, complete with what `nodes` select."""
        entity = ENTITIES[entity_name]
        found = self._rows(entity_name, entity, nodes, "r.id in (select unnest(?))", [list(ids)], "r.id", "r.id", None)
        return {row["_id"]: row for row in found}

    def _pages(
        self,
        entity_name: str,
        node: FieldNode,
        arguments: Mapping[str, Any],
        where: str,
        parameters: Sequence[Any],
        parent_key: str | None,
    ) -> dict[int | None, dict[str, Any]]:
        """A page for every parent (for None alone at the root)."""
        entity = ENTITIES[entity_name]
        first = arguments.get("first")
        if first is None:
            raise GraphQLError(
                f"you must provide one of first or last on {node.name.value}", extensions={"code": "BAD_REQUEST"}
            )
        if not 0 <= first <= PAGE_MAX:
            raise GraphQLError(f"first is limited to {PAGE_MAX}, got {first}", extensions={"code": "BAD_REQUEST"})
        sort = entity.sort_keys[arguments.get("sortKey") or "ID"].format(t="r")
        is_reverse, after = bool(arguments.get("reverse")), arguments.get("after")
        values = list(parameters)
        if after is not None:
            sort_value, last_id = decode_cursor(after)
            where += f" and ({sort}, r.id) {'<' if is_reverse else '>'} (cast(? as {_type(entity, sort)}), ?)"
            values += [sort_value, last_id]
        direction = "desc" if is_reverse else "asc"
        order = f"{sort} {direction}, r.id {direction}"
        parent = None if parent_key is None else f"r.{parent_key}"
        nodes = self.selection.node_fields(node)
        rows = self._rows(entity_name, entity, nodes, where, values, order, sort, parent, limit=first + 1)
        grouped: dict[int | None, list[dict[str, Any]]] = {}
        for row in rows:
            grouped.setdefault(row["_parent"], []).append(row)
        return {key: _connection(group[:first], len(group) > first, after) for key, group in grouped.items()}

    def _rows(
        self,
        entity_name: str,
        entity: Entity,
        nodes: Sequence[FieldNode],
        where: str,
        parameters: Sequence[Any],
        order: str,
        sort: str,
        parent: str | None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        wanted = {node.name.value for node in nodes}
        members = whole_object(entity.fields, "r", wanted)
        keys = {f.key for f in entity.fields.values() if isinstance(f, One)}
        members += [("_id", "r.id::varchar"), ("_parent", f"coalesce(({parent or 'null'})::varchar, 'null')")]
        members += [("_sort", f"coalesce(to_json(({sort})::varchar)::varchar, 'null')")]
        members += [(f"_{key}", f"coalesce(r.{key}::varchar, 'null')") for key in sorted(keys)]
        cut = ""
        if limit is not None and parent is None:
            cut = f" limit {limit}"
        elif limit is not None:
            cut = f" qualify row_number() over (partition by {parent} order by {order}) <= {limit}"
        ordered = f" order by {order}" if parent is None else ""
        sql = f"select {json_text(members)} from {entity.table} r where {where}"
        sql += f"{ordered}{cut}" if parent is None else f"{cut} order by {parent}, {order}"
        found = self.cursor.execute(sql, list(parameters)).fetchall()
        rows: list[dict[str, Any]] = json.loads("[" + ",".join(row[0] for row in found) + "]")
        for row in rows:
            row["__typename"] = entity_name
        self._attach(entity_name, entity, rows, nodes)
        return rows

    def _attach(self, entity_name: str, entity: Entity, rows: list[dict[str, Any]], nodes: Sequence[FieldNode]) -> None:
        """Read every relation the nodes select, for all rows at once."""
        graphql_type = self.schema.type_map[entity_name]
        assert isinstance(graphql_type, GraphQLObjectType)
        for node in nodes:
            declared = entity.fields.get(node.name.value)
            if not rows or declared is None or isinstance(declared, Leaf | Object):
                continue
            key = RELATION_PREFIX + response_key(node)
            arguments = get_argument_values(graphql_type.fields[node.name.value], node, dict(self.variables))
            ids = [row["_id"] for row in rows]
            if isinstance(declared, One):
                wanted = sorted({row[f"_{declared.key}"] for row in rows} - {None})
                found = self.by_ids(declared.entity, wanted, list(self.selection.fields(node.selection_set)))
                for row in rows:
                    row[key] = found.get(row[f"_{declared.key}"])
            elif isinstance(declared, Connection):
                where = f"r.{declared.key} in (select unnest(?))"
                pages = self._pages(declared.entity, node, arguments, where, [ids], declared.key)
                for row in rows:
                    row[key] = pages.get(row["_id"]) or _connection([], False, arguments.get("after"))
            elif isinstance(declared, Many):
                self._attach_list(declared, node, arguments.get("first"), rows, key)

    def _attach_list(
        self, declared: Many, node: FieldNode, first: int | None, rows: list[dict[str, Any]], key: str
    ) -> None:
        target = ENTITIES[declared.entity]
        children = self._rows(
            declared.entity,
            target,
            list(self.selection.fields(node.selection_set)),
            f"r.{declared.key} in (select unnest(?))",
            [[row["_id"] for row in rows]],
            "r.id",
            "r.id",
            f"r.{declared.key}",
            limit=first or PAGE_MAX,
        )
        grouped: dict[int, list[dict[str, Any]]] = {}
        for child in children:
            grouped.setdefault(child["_parent"], []).append(child)
        for row in rows:
            row[key] = grouped.get(row["_id"], [])


def _connection(rows: list[dict[str, Any]], has_next: bool, after: str | None) -> dict[str, Any]:
    edges = [{"cursor": encode_cursor(row["_sort"], row["_id"]), "node": row} for row in rows]
    return {
        "nodes": rows,
        "edges": edges,
        "pageInfo": {
            "hasNextPage": has_next,
            "hasPreviousPage": after is not None,
            "startCursor": edges[0]["cursor"] if edges else None,
            "endCursor": edges[-1]["cursor"] if edges else None,
        },
    }


def encode_cursor(sort_value: str | None, last_id: int) -> str:
    text = json.dumps({"last_id": last_id, "last_value": sort_value}, separators=(",", ":"))
    return base64.b64encode(text.encode()).decode()


def decode_cursor(cursor: str) -> tuple[str | None, int]:
    try:
        decoded = json.loads(base64.b64decode(cursor, validate=True))
        return decoded["last_value"], int(decoded["last_id"])
    except (binascii.Error, ValueError, KeyError, TypeError) as error:
        raise GraphQLError("Invalid cursor for current pagination sort.", extensions={"code": "BAD_REQUEST"}) from error


def _type(entity: Entity, sort: str) -> str:
    if sort.endswith("_at"):
        return "timestamp"
    if sort.endswith(".id"):
        return "bigint"
    return "decimal(18,2)" if sort.endswith("price") else "varchar"
