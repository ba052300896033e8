"""BigQuery's wire form of rows: nested `{"f": [{"v": …}]}`, every scalar a string, written as text by the engine."""

from typing import Any

_SCALARS = {
    "varchar": "STRING",
    "bigint": "INTEGER",
    "integer": "INTEGER",
    "smallint": "INTEGER",
    "tinyint": "INTEGER",
    "hugeint": "INTEGER",
    "ubigint": "INTEGER",
    "uinteger": "INTEGER",
    "double": "FLOAT",
    "float": "FLOAT",
    "decimal": "NUMERIC",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "json": "STRING",
}


def field_schema(name: str, kind: Any) -> dict[str, Any]:
    """A `TableFieldSchema` for a DuckDB type."""
    mode = "NULLABLE"
    if kind.id == "list":
        mode, kind = "REPEATED", kind.children[0][1]
    if kind.id == "struct":
        fields = [field_schema(child, child_kind) for child, child_kind in kind.children]
        return {"name": name, "type": "RECORD", "mode": mode, "fields": fields}
    return {"name": name, "type": _SCALARS.get(kind.id, "STRING"), "mode": mode}


def table_schema(names: list[str], kinds: list[Any]) -> dict[str, Any]:
    return {"fields": [field_schema(name, kind) for name, kind in zip(names, kinds, strict=True)]}


def row_json(names: list[str], kinds: list[Any], alias: str = "r") -> str:
    """SQL of one row's JSON text."""
    return _record([(f'{alias}."{name}"', kind) for name, kind in zip(names, kinds, strict=True)], depth=0)


def _record(members: list[tuple[str, Any]], depth: int) -> str:
    cells = " || ',' || ".join(f"'{{\"v\":' || {_value(sql, kind, depth)} || '}}'" for sql, kind in members)
    return f"('{{\"f\":[' || {cells} || ']}}')"


def _value(sql: str, kind: Any, depth: int) -> str:
    if kind.id == "list":
        item = f"x{depth}"
        inside = _value(item, kind.children[0][1], depth + 1)
        cells = f"list_transform({sql}, lambda {item}: '{{\"v\":' || {inside} || '}}')"
        return f"('[' || coalesce(array_to_string({cells}, ','), '') || ']')"
    if kind.id == "struct":
        record = _record([(f'({sql})."{name}"', child) for name, child in kind.children], depth)
        return f"case when ({sql}) is null then 'null' else {record} end"
    if kind.id == "timestamp":
        # seconds since the epoch as a float, the API's default form
        return f"""coalesce('"' || (epoch_us({sql}) / 1e6)::varchar || '"', 'null')"""
    if kind.id in {"varchar", "json"}:
        return f"coalesce(to_json(({sql})::varchar)::varchar, 'null')"
    return f"""coalesce('"' || ({sql})::varchar || '"', 'null')"""
