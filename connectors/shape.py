"""Declared column types as trees, and what is derived from them: Arrow types, JSON structures, checks, leftovers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa

# A step of a path that goes into every element of a list.
EACH = "[]"
# The field by which a nested row that is a line of its own names its parent.
PARENT = "__parentId"
Path = tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """A struct (`fields`), a list (`element`) or a plain value (`type`, DuckDB's name).

    An envelope is a struct that belongs to the protocol: what else it holds (`pageInfo`) is not the vendor's data.
    """

    type: str = ""
    fields: Mapping[str, "Shape"] | None = None
    element: "Shape | None" = None
    is_envelope: bool = False


@cache
def shape_of(type_text: str) -> Shape:
    """The tree of a DuckDB type: "STRUCT(a VARCHAR)[]" is a list of structs with one text."""
    return _shape(duckdb.sqltype(type_text))


def _shape(parsed: Any) -> Shape:
    if parsed.id == "struct":
        return Shape(fields={name: _shape(child) for name, child in parsed.children})
    if parsed.id == "list":
        return Shape(element=_shape(parsed.children[0][1]))
    return Shape(type=str(parsed))


def row_shape(types: Mapping[str, str], unwrap: Mapping[str, str]) -> Shape:
    """The shape of a row on the wire: as declared, with `unwrap`ped columns inside their envelope."""
    fields = {}
    for name, type_text in types.items():
        declared = shape_of(type_text)
        fields[name] = Shape(fields={unwrap[name]: declared}, is_envelope=True) if name in unwrap else declared
    return Shape(fields=fields)


def arrow_type(shape: Shape) -> pa.DataType:
    """The Arrow type that the JSON reader checks values against while it parses."""
    if shape.fields is not None:
        return pa.struct([(name, arrow_type(child)) for name, child in shape.fields.items()])
    if shape.element is not None:
        return pa.list_(arrow_type(shape.element))
    if shape.type.startswith("DECIMAL"):
        precision, scale = shape.type.removeprefix("DECIMAL(").rstrip(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    return {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "TIMESTAMP": pa.timestamp("us"),
    }[shape.type]


def json_structure(shape: Shape) -> Any:
    """The structure that DuckDB's `from_json` takes. TIMESTAMPTZ, because TIMESTAMP would drop an offset unread."""
    if shape.fields is not None:
        return {name: json_structure(child) for name, child in shape.fields.items()}
    if shape.element is not None:
        return [json_structure(shape.element)]
    return "TIMESTAMPTZ" if shape.type == "TIMESTAMP" else shape.type


def undeclared_in_arrow(shape: Shape, found: pa.DataType, at: Path = ()) -> Iterator[Path]:
    """Paths that Arrow found in the rows and nobody declared; always-null ones carry nothing and are left out."""
    if shape.element is not None and pa.types.is_list(found):
        yield from undeclared_in_arrow(shape.element, found.value_type, (*at, EACH))
    elif shape.fields is not None and pa.types.is_struct(found):
        for field in found:
            if field.name in shape.fields:
                yield from undeclared_in_arrow(shape.fields[field.name], field.type, (*at, field.name))
            elif not shape.is_envelope and not pa.types.is_null(field.type):
                yield (*at, field.name)


def undeclared_in_structure(shape: Shape, found: Any, at: Path = ()) -> Iterator[Path]:
    """The same from the parsed answer of DuckDB's `json_group_structure`."""
    if shape.element is not None and isinstance(found, list) and found:
        yield from undeclared_in_structure(shape.element, found[0], (*at, EACH))
    elif shape.fields is not None and isinstance(found, dict):
        for name, child in found.items():
            if name in shape.fields:
                yield from undeclared_in_structure(shape.fields[name], child, (*at, name))
            elif not shape.is_envelope and child != "NULL":
                yield (*at, name)


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL text literal."""
    return "'" + text.replace("'", "''") + "'"


def path_name(path: Path) -> str:
    """How a path is written for people and in `_extra`: "lineItems[].giftCard"."""
    return ".".join(path).replace(f".{EACH}", EACH)


def leftover_in_columns(path: Path) -> str:
    """SQL for the JSON of an undeclared path in typed columns; NULL where the row has nothing there."""
    return _or_nothing(path, _followed(quoted(path[0]), path[1:], 0, is_json=False))


def leftover_in_json(row: str, path: Path) -> str:
    """The same for rows that are still JSON."""
    return _or_nothing(path, _followed(row, path, 0, is_json=True))


def _followed(value: str, rest: Path, depth: int, *, is_json: bool) -> str:
    if not rest:
        return value
    if rest[0] == EACH:
        item = f"e{depth}"
        items = f"from_json({value}, '[\"JSON\"]')" if is_json else value
        return f"list_transform({items}, lambda {item}: {_followed(item, rest[1:], depth + 1, is_json=is_json)})"
    step = f"json_extract({value}, '$.{quoted(rest[0])}')" if is_json else f"{value}.{quoted(rest[0])}"
    return _followed(step, rest[1:], depth, is_json=is_json)


def _or_nothing(path: Path, value: str) -> str:
    if EACH not in path:
        return f"to_json({value})"
    something = f"list_filter({value}, lambda x: x IS NOT NULL AND to_json(x)::VARCHAR <> 'null')"
    return f"CASE WHEN len({something}) > 0 THEN to_json({value}) END"


def path_in_json(path: Path) -> str:
    """DuckDB's JSON path for a path."""
    return "$" + "".join("[*]" if step == EACH else f'."{step}"' for step in path)


def is_acceptable(value: str, shape: Shape, depth: int = 0) -> str:
    """SQL that is true where a JSON value fits the shape; empty always fits, texts that cast to the type do too."""
    kind = f"json_type({value})"
    if shape.fields is not None:
        parts = [is_acceptable(f"json_extract({value}, '$.{quoted(n)}')", s, depth) for n, s in shape.fields.items()]
        return f"({value} IS NULL OR {kind} = 'NULL' OR ({kind} = 'OBJECT' AND {' AND '.join(parts)}))"
    if shape.element is not None:
        item = f"v{depth}"
        inner = is_acceptable(item, shape.element, depth + 1)
        items = f"list_transform(from_json({value}, '[\"JSON\"]'), lambda {item}: {inner})"
        fits = f"coalesce(list_bool_and({items}), true)"
        return f"({value} IS NULL OR {kind} = 'NULL' OR ({kind} = 'ARRAY' AND {fits}))"
    if shape.type == "VARCHAR":
        return f"({value} IS NULL OR {kind} IN ('VARCHAR', 'NULL'))"
    cast = "TIMESTAMPTZ" if shape.type == "TIMESTAMP" else shape.type
    # Vendors write an empty text for a number or time that is not there (Mailchimp's timestamp_opt).
    text = f"nullif(json_extract_string({value}, '$'), '')"
    return f"({text} IS NULL OR ({kind} NOT IN ('OBJECT', 'ARRAY') AND TRY_CAST({text} AS {cast}) IS NOT NULL))"


def describe_misfit(value: Any, shape: Shape, at: Path) -> tuple[Path, str, Any]:
    """Where inside one bad value the misfit is: (path, what was expected, the offending part)."""
    if shape.fields is not None and isinstance(value, dict):
        for name, child in shape.fields.items():
            if name in value and not _fits(value[name], child):
                return describe_misfit(value[name], child, (*at, name))
    if shape.element is not None and isinstance(value, list):
        for item in value:
            if not _fits(item, shape.element):
                return describe_misfit(item, shape.element, (*at, EACH))
    expected = "an object" if shape.fields is not None else "a list" if shape.element is not None else shape.type
    return at, expected, value


def _fits(value: Any, shape: Shape) -> bool:
    if value is None:
        return True
    if shape.fields is not None:
        return isinstance(value, dict) and all(_fits(value.get(n), s) for n, s in shape.fields.items())
    if shape.element is not None:
        return isinstance(value, list) and all(_fits(item, shape.element) for item in value)
    if isinstance(value, dict | list):
        return False
    if shape.type == "VARCHAR" or value == "":
        return isinstance(value, str)
    cast = "TIMESTAMPTZ" if shape.type == "TIMESTAMP" else shape.type
    text = str(value).lower() if isinstance(value, bool) else str(value)
    with duckdb.connect() as connection:
        row = connection.execute(f"SELECT TRY_CAST(? AS {cast}) IS NOT NULL", [text]).fetchone()
    return bool(row and row[0])
