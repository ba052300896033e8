"""Shopify's bulk operations: an inner query compiled to SQL that writes the JSONL file in one pass of the engine.

Root objects come first and the children of each nested connection after them, every child with its `__parentId`: with
`groupObjects: false` a child need not follow its parent, and clients that believe it does must fail here.
"""

import hashlib
import hmac
import secrets
import threading
import time
from pathlib import Path
from typing import Any

import duckdb
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
)
from graphql.execution.values import get_argument_values

from connectors.sandbox.shopify_rows import Selection, json_text, response_key, selected_object
from connectors.sandbox.shopify_search import SearchError, parse_search
from connectors.sandbox.shopify_types import ENTITIES, ROOT_CONNECTIONS, Connection, Entity, Many, One, gid
from connectors.sandbox.state import State

CONCURRENT_LIMIT = 5
MAXIMUM_CONNECTIONS = 5
MAXIMUM_DEPTH = 2
URL_SECONDS = 7 * 24 * 3600
POLLS_RUNNING = 1
"""A finished operation still reports RUNNING to this many polls: a client that does not poll must not succeed."""


class BulkQueryError(ValueError):
    """The inner query cannot run in bulk; the message is what `userErrors` says."""


class BulkOperations:
    """The bulk operations of one sandbox: their rows in the state file, their results as files beside it."""

    def __init__(self, state: State, schema: GraphQLSchema) -> None:
        self.state = state
        self.schema = schema
        self.directory = state.directory / "bulk"
        self.directory.mkdir(exist_ok=True)
        self._secret = secrets.token_bytes(16)
        with state.lock, state.cursor() as cursor:
            cursor.execute(
                "create table if not exists shopify_bulk_operations (id bigint primary key, query varchar,"
                " status varchar, created_at timestamp, completed_at timestamp, polls integer, object_count bigint,"
                " root_object_count bigint, file_size bigint, error_code varchar)"
            )
            # an operation that a stopped server left running will never finish
            cursor.execute(
                "update shopify_bulk_operations set status = 'FAILED', error_code = 'INTERNAL_SERVER_ERROR'"
                " where status in ('CREATED', 'RUNNING')"
            )

    def start(self, query: str, is_grouped: bool) -> dict[str, Any]:
        """Begin an operation; a thread of its own writes the file. Raises `BulkQueryError`, code first."""
        statements = compile_query(query, self.schema, self.state, is_grouped)
        # no tick of the clock: an operation changes nothing of the shop, and a retried one must not move its times
        with self.state.lock, self.state.cursor() as cursor:
            running = cursor.execute(
                "select count(*) from shopify_bulk_operations where status in ('CREATED', 'RUNNING')"
            ).fetchall()[0][0]
            if running >= CONCURRENT_LIMIT:
                raise BulkLimitReached(f"At most {CONCURRENT_LIMIT} bulk queries run at a time for an app and a shop.")
            new_id = cursor.execute("select coalesce(max(id), 0) + 1 from shopify_bulk_operations").fetchall()[0][0]
            cursor.execute(
                "insert into shopify_bulk_operations values (?, ?, 'CREATED', ?, null, 0, 0, 0, null, null)",
                [new_id, query, self.state.now()],
            )
        threading.Thread(target=self._run, args=(new_id, statements), name=f"bulk-{new_id}", daemon=True).start()
        found = self.find(new_id, "", is_poll=False)
        assert found is not None
        return found

    def find(self, operation_id: int, host_url: str, is_poll: bool = True) -> dict[str, Any] | None:
        """An operation as GraphQL shows it; every look is a poll and moves its status on."""
        with self.state.lock, self.state.cursor() as cursor:
            cursor.execute("select * from shopify_bulk_operations where id = ?", [operation_id])
            names = [column[0] for column in cursor.description]
            found = cursor.fetchone()
            if found is None:
                return None
            row = dict(zip(names, found, strict=True))
            if is_poll:
                cursor.execute("update shopify_bulk_operations set polls = polls + 1 where id = ?", [operation_id])
        status = row["status"]
        is_early = status == "COMPLETED" and row["polls"] < POLLS_RUNNING
        if is_poll and (is_early or status == "CREATED"):
            status = "RUNNING"
        is_complete = status == "COMPLETED"
        return {
            "__typename": "BulkOperation",
            "id": f"gid://shopify/BulkOperation/{row['id']}",
            "query": row["query"],
            "type": "QUERY",
            "status": status,
            "errorCode": row["error_code"],
            "createdAt": _iso(row["created_at"]),
            "completedAt": _iso(row["completed_at"]) if is_complete else None,
            "objectCount": str(row["object_count"]),
            "rootObjectCount": str(row["root_object_count"]),
            "fileSize": str(row["file_size"]) if is_complete and row["object_count"] else None,
            "url": self._signed_url(row["id"], host_url) if is_complete and row["object_count"] else None,
            "partialDataUrl": None,
        }

    def newest(self) -> int | None:
        found: int | None = self.state.value("select max(id) from shopify_bulk_operations")
        return found

    def cancel(self, operation_id: int) -> None:
        with self.state.lock, self.state.cursor() as cursor:
            cursor.execute(
                "update shopify_bulk_operations set status = 'CANCELED'"
                " where id = ? and status in ('CREATED', 'RUNNING')",
                [operation_id],
            )

    def parts(self, operation_id: int) -> list[Path]:
        """The files whose concatenation is the result: the root objects, then each connection's children."""
        return sorted(self.directory.glob(f"{operation_id}.*.jsonl"))

    def is_signed(self, operation_id: int, expires: str, signature: str) -> bool:
        """Whether a download URL is one of ours and not past its end."""
        if not expires.isdigit() or int(expires) < time.time():
            return False
        return hmac.compare_digest(self._signature(operation_id, expires), signature)

    def _signature(self, operation_id: int, expires: str) -> str:
        return hmac.new(self._secret, f"{operation_id}:{expires}".encode(), hashlib.sha256).hexdigest()

    def _signed_url(self, operation_id: int, host_url: str) -> str:
        expires = str(int(time.time()) + URL_SECONDS)
        signature = self._signature(operation_id, expires)
        return f"{host_url}shopify/bulk-results/{operation_id}.jsonl?Expires={expires}&Signature={signature}"

    def _run(self, operation_id: int, statements: list[tuple[str, list[Any]]]) -> None:
        parts = [self.directory / f"{operation_id}.{number:02}.jsonl" for number in range(len(statements))]
        try:
            with self.state.cursor() as cursor:
                root_count, count = _write_parts(cursor, statements, parts)
        except duckdb.Error:
            self._finish(operation_id, "FAILED", 0, 0, None, "INTERNAL_SERVER_ERROR")
            raise
        self._finish(operation_id, "COMPLETED", count, root_count, sum(part.stat().st_size for part in parts), None)

    def _finish(
        self, operation_id: int, status: str, count: int, root_count: int, size: int | None, error: str | None
    ) -> None:
        with self.state.lock, self.state.cursor() as cursor:
            cursor.execute(
                "update shopify_bulk_operations set status = ?, object_count = ?, root_object_count = ?, file_size = ?,"
                " error_code = ?, completed_at = ? where id = ? and status <> 'CANCELED'",
                [status, count, root_count, size, error, self.state.now(), operation_id],
            )


class BulkLimitReached(BulkQueryError):
    """Too many operations run already."""


def _write_parts(
    cursor: duckdb.DuckDBPyConnection, statements: list[tuple[str, list[Any]]], parts: list[Path]
) -> tuple[int, int]:
    """Write each statement's lines to its part, all from one snapshot; (root lines, all lines)."""
    counts = []
    cursor.begin()
    try:
        for (sql, parameters), part in zip(statements, parts, strict=True):
            # A quote and a delimiter that JSON text cannot hold make the CSV writer a plain line writer.
            copied = cursor.execute(
                f"copy ({sql}) to '{part}' (format csv, header false, quote '', escape '', delimiter '\x01')",
                parameters,
            ).fetchall()
            counts.append(int(copied[0][0]))
    finally:
        cursor.rollback()
    return counts[0], sum(counts)


def compile_query(query: str, schema: GraphQLSchema, state: State, is_grouped: bool) -> list[tuple[str, list[Any]]]:
    """One SQL statement for the root objects and one for each nested connection, each giving finished JSON lines.

    Raises `BulkQueryError` in the cases in which the vendor refuses the query.
    """
    root, selection = _checked(query, schema)
    entity_name = ROOT_CONNECTIONS[root.name.value]
    entity = ENTITIES[entity_name]
    assert schema.query_type is not None
    arguments = get_argument_values(schema.query_type.fields[root.name.value], root, {})
    try:
        search = parse_search(arguments.get("query"), entity.filters, "r", state.now())
    except (SearchError, ValueError) as error:
        raise BulkQueryError(f"Invalid search query: {error}") from error
    nodes = selection.node_fields(root)
    line = json_text(selected_object(entity.fields, entity_name, nodes, selection, "r"))
    statements = [(f"select {line} from {entity.table} r where {search.sql}", search.parameters)]
    source = f"{entity.table} r"
    for node in nodes:
        declared = entity.fields.get(node.name.value)
        if isinstance(declared, Connection):
            statements += _children(declared, node, entity_name, source, search.sql, search.parameters, selection, "r")
    if is_grouped:
        raise BulkQueryError("groupObjects: true is not served by the sandbox; read children by __parentId")
    return statements


def _children(
    declared: Connection,
    node: FieldNode,
    parent_name: str,
    parents: str,
    where: str,
    parameters: list[Any],
    selection: Selection,
    alias: str,
) -> list[tuple[str, list[Any]]]:
    entity = ENTITIES[declared.entity]
    child = f"{alias}c"
    nodes = selection.node_fields(node)
    members = selected_object(entity.fields, declared.entity, nodes, selection, child)
    members.append(("__parentId", gid(parent_name, f"{child}.{declared.key}").sql))
    if where == "true":
        condition = f"{child}.{declared.key} in (select {alias}.id from {parents})"
    else:
        condition = f"{child}.{declared.key} in (select {alias}.id from {parents} where {where})"
    statements = [(f"select {json_text(members)} from {entity.table} {child} where {condition}", parameters)]
    for inner in nodes:
        deeper = entity.fields.get(inner.name.value)
        if isinstance(deeper, Connection):
            statements += _children(
                deeper, inner, declared.entity, f"{entity.table} {child}", condition, parameters, selection, child
            )
    return statements


def _checked(query: str, schema: GraphQLSchema) -> tuple[FieldNode, Selection]:
    """The query's only root field, after everything the vendor checks of a bulk query."""
    try:
        document: DocumentNode = parse(query)
    except GraphQLError as error:
        raise BulkQueryError(f"Invalid bulk query: {error.message}") from error
    errors = validate(schema, document)
    if errors:
        raise BulkQueryError(f"Invalid bulk query: {errors[0].message}")
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    if len(operations) != 1 or operations[0].operation != OperationType.QUERY:
        raise BulkQueryError("Bulk queries must contain exactly one query operation.")
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    selection = Selection(fragments)
    roots = list(selection.fields(operations[0].selection_set))
    if len(roots) != 1:
        raise BulkQueryError("Bulk queries must have exactly one top-level field.")
    if roots[0].name.value not in ROOT_CONNECTIONS:
        raise BulkQueryError("Bulk queries must contain at least one connection.")
    counted = _check_connection(roots[0], ENTITIES[ROOT_CONNECTIONS[roots[0].name.value]], selection, depth=0)
    if counted > MAXIMUM_CONNECTIONS:
        raise BulkQueryError(f"Bulk queries cannot contain more than {MAXIMUM_CONNECTIONS} connections.")
    return roots[0], selection


def _check_connection(connection: FieldNode, entity: Entity, selection: Selection, depth: int) -> int:
    """How many connections stand at and below this one."""
    if depth > MAXIMUM_DEPTH:
        raise BulkQueryError(
            f"Bulk queries cannot contain connections with a nesting depth greater than {MAXIMUM_DEPTH}."
        )
    nodes = selection.node_fields(connection)
    if not nodes:
        raise BulkQueryError("Connection fields must select nodes or edges { node }.")
    count = 1
    for node in nodes:
        declared = entity.fields.get(node.name.value)
        if isinstance(declared, Connection):
            if not any(n.name.value == "id" and response_key(n) == "id" for n in nodes):
                raise BulkQueryError(
                    "The parent 'node' field for a nested connection must select the 'id' field without an alias."
                )
            count += _check_connection(node, ENTITIES[declared.entity], selection, depth + 1)
        elif isinstance(declared, Many | One) and _holds_connection(node, declared, selection):
            raise BulkQueryError("Queries that contain a connection field within a list field are not supported.")
    return count


def _holds_connection(node: FieldNode, declared: Many | One, selection: Selection) -> bool:
    fields = ENTITIES[declared.entity].fields
    for inner in selection.fields(node.selection_set):
        deeper = fields.get(inner.name.value)
        if isinstance(deeper, Connection):
            return True
        if isinstance(deeper, Many | One) and _holds_connection(inner, deeper, selection):
            return True
    return False


def _iso(moment: Any) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
