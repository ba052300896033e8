"""Writing HubSpot objects: create, update, upsert by e-mail, archive; enough for a client's round trip."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from connectors.sandbox.hubspot_objects import BOOLEANS, ObjectType


class WriteError(ValueError):
    """A record HubSpot refuses, with the HTTP status a single write would get."""

    def __init__(self, status: int, category: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.category = category


def apply(
    cursor: DuckDBPyConnection, kind: ObjectType, verb: str, item: Mapping[str, Any], now: datetime
) -> tuple[int, bool]:
    """Write one record; (its id, whether it is new). Raises `WriteError`."""
    properties = item.get("properties") or {}
    columns = _columns(kind, properties)
    if verb == "archive":
        object_id = _find(cursor, kind, str(item.get("id", "")), None)
        if object_id is None:
            return 0, False
        archived_at = ", archived_at = ?" if kind.has_archived_at else ""
        values = [now, now] if kind.has_archived_at else [now]
        cursor.execute(
            f"update {kind.table} set archived = true, updated_at = ?{archived_at} where id = ?", [*values, object_id]
        )
        return object_id, False
    if verb in {"update", "upsert"}:
        object_id = _find(cursor, kind, str(item.get("id", "")), item.get("idProperty"))
        if object_id is not None:
            _update(cursor, kind, object_id, columns, now)
            return object_id, False
        if verb == "update":
            raise WriteError(404, "OBJECT_NOT_FOUND", f"{kind.name} {item.get('id')} does not exist")
        if item.get("idProperty"):
            columns.setdefault(item["idProperty"], str(item.get("id", "")))
    return _create(cursor, kind, columns, now), True


def _columns(kind: ObjectType, properties: Mapping[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, value in properties.items():
        if name not in kind.writable:
            raise WriteError(
                400, "VALIDATION_ERROR", f'Property values were not valid: Property "{name}" does not exist'
            )
        columns[name] = str(value).lower() == "true" if name in BOOLEANS else (None if value is None else str(value))
    return columns


def _find(cursor: DuckDBPyConnection, kind: ObjectType, key: str, id_property: str | None) -> int | None:
    if not id_property or id_property == "hs_object_id":
        sql, value = "r.id = ?", int(key) if key.isdigit() else -1
    else:
        sql, value = f"lower(({kind.properties[id_property]})::varchar) = ?", key.lower()  # type: ignore[assignment]
    found = cursor.execute(f"select r.id from {kind.table} r where not r.archived and {sql}", [value]).fetchone()
    return int(found[0]) if found else None


def _update(
    cursor: DuckDBPyConnection, kind: ObjectType, object_id: int, columns: Mapping[str, Any], now: datetime
) -> None:
    assignments = "".join(f", {name} = ?" for name in columns)
    cursor.execute(
        f"update {kind.table} set updated_at = ?{assignments} where id = ?", [now, *columns.values(), object_id]
    )


def _create(cursor: DuckDBPyConnection, kind: ObjectType, columns: Mapping[str, Any], now: datetime) -> int:
    email = columns.get("email")
    if email:
        taken = cursor.execute(
            f"select id from {kind.table} where not archived and lower(email) = ?", [email.lower()]
        ).fetchone()
        if taken:
            raise WriteError(409, "CONFLICT", f"Contact already exists. Existing ID: {taken[0]}")
    new_id = cursor.execute(f"select coalesce(max(id), 0) + 1 from {kind.table}").fetchall()[0][0]
    given = {"id": new_id, "created_at": now, "updated_at": now, "archived": False, **columns}
    cursor.execute(
        f"insert into {kind.table} ({', '.join(given)}) values ({', '.join('?' * len(given))})", list(given.values())
    )
    return int(new_id)
