"""From JSON text to typed columns: Arrow's reader, and a careful way in SQL for chunks that Arrow refuses."""

import json
from collections.abc import Iterator, Mapping

import duckdb
import pyarrow as pa
import pyarrow.json as arrow_json

from connectors.shape import (
    PARENT,
    Shape,
    arrow_type,
    describe_misfit,
    is_acceptable,
    json_structure,
    leftover_in_columns,
    leftover_in_json,
    literal,
    path_in_json,
    path_name,
    quoted,
    undeclared_in_arrow,
    undeclared_in_structure,
)
from connectors.stream import Page

BLOCK_BYTES = 4 << 20
MISFITS_LOOKED_INTO = 50


def lines_of(page: Page) -> Iterator[bytes]:
    """The page as chunks of whole lines, one JSON document each."""
    if isinstance(page.content, list):
        if page.content:
            yield b"".join(json.dumps(row, separators=(",", ":")).encode() + b"\n" for row in page.content)
    elif isinstance(page.content, bytes):
        # Line breaks between tokens mean nothing in JSON and cannot stand inside its strings.
        text = page.content if page.is_lines else page.content.replace(b"\n", b" ").replace(b"\r", b" ")
        if text.strip():
            yield text if text.endswith(b"\n") else text + b"\n"
    else:
        with page.content.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                block += file.readline()
                yield block if block.endswith(b"\n") else block + b"\n"


class Typing:
    """Types chunks of JSON lines within a connection; misfits are put aside in its table `bad`.

    `spoiled` holds the parents of nested rows that were put aside.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        connection.execute("CREATE TABLE bad (_field VARCHAR, _reason VARCHAR, _row VARCHAR)")
        connection.execute("CREATE TABLE spoiled (parent VARCHAR)")

    def type_chunk(self, chunk: bytes, path: tuple[str, ...], shape: Shape) -> str:
        """Make the chunk's rows the view `typed`; returns the SQL of their `_extra`."""
        self.connection.execute("DROP VIEW IF EXISTS typed")
        try:
            rows, leftovers = parsed(chunk, path, shape)
        except pa.ArrowInvalid:
            leftovers = self._type_carefully(chunk, path, shape)
        else:
            self.connection.register("typed", rows)
        if not leftovers:
            return "NULL"
        pairs = ", ".join(f"{literal(name)}, {expression}" for name, expression in leftovers.items())
        return f"nullif(json_merge_patch('{{}}', json_object({pairs}))::VARCHAR, '{{}}')"

    def _type_carefully(self, chunk: bytes, path: tuple[str, ...], shape: Shape) -> dict[str, str]:
        """Sort out the misfits row by row; texts that can be read as the declared number or time are no misfits."""
        lines = pa.table({"line": pa.array(chunk.decode("utf-8", errors="replace").split("\n"), pa.string())})
        assert shape.fields is not None
        columns = {
            name: is_acceptable(f"json_extract(row, '$.{quoted(name)}')", child) for name, child in shape.fields.items()
        }
        misfits = ", ".join(f"CASE WHEN NOT {fits} THEN {literal(name)} END" for name, fits in columns.items())
        row = "line"
        if path:
            row = f"unnest(from_json(json_extract(line, {literal(path_in_json(path))}), '[\"JSON\"]'))"
        self.connection.register("lines", lines)
        self.connection.execute(
            "INSERT INTO bad SELECT NULL, 'not JSON', line FROM lines WHERE NOT json_valid(line) AND trim(line) <> ''"
        )
        self.connection.execute(
            f"""
            CREATE OR REPLACE TABLE careful AS
            SELECT row, coalesce({misfits}) AS misfit
            FROM (SELECT {row}::JSON AS row FROM lines WHERE json_valid(line))
            WHERE json_type(row) IS DISTINCT FROM 'NULL'
            """
        )
        self.connection.unregister("lines")
        self._put_aside(shape.fields)
        self.connection.execute("DELETE FROM careful WHERE misfit IS NOT NULL")
        structure = literal(json.dumps(json_structure(shape)))
        self.connection.execute(
            f"CREATE TEMP VIEW typed AS SELECT unnest(from_json(row, {structure})), row AS _row FROM careful"
        )
        [(found,)] = self.connection.execute("SELECT json_group_structure(row)::VARCHAR FROM careful").fetchall()
        paths = undeclared_in_structure(shape, json.loads(found)) if found else ()
        return {path_name(path): leftover_in_json("_row", path) for path in paths}

    def _put_aside(self, fields: Mapping[str, Shape]) -> None:
        """Move the misfits of `careful` to `bad`, each with the place inside the column where it does not fit."""
        found = self.connection.execute(
            "SELECT misfit, row::VARCHAR FROM careful WHERE misfit IS NOT NULL "
            f"QUALIFY row_number() OVER (PARTITION BY misfit ORDER BY row::VARCHAR) <= {MISFITS_LOOKED_INTO}"
        ).fetchall()
        for name, text in found:
            at, expected, _ = describe_misfit(json.loads(text).get(name), fields[name], (name,))
            self.connection.execute("INSERT INTO bad VALUES (?, ?, ?)", [path_name(at), f"is not {expected}", text])
        # So many of one column are no accidents; they share its name, and nobody will look at each of them.
        self.connection.execute(
            "INSERT INTO bad SELECT misfit, 'is not as declared', row::VARCHAR FROM careful WHERE misfit IS NOT NULL "
            f"QUALIFY row_number() OVER (PARTITION BY misfit ORDER BY row::VARCHAR) > {MISFITS_LOOKED_INTO}"
        )
        if PARENT in fields:
            self.connection.execute(
                f"INSERT INTO spoiled SELECT json_extract_string(row, '$.{PARENT}') "
                "FROM careful WHERE misfit IS NOT NULL"
            )


def parsed(chunk: bytes, path: tuple[str, ...], shape: Shape) -> tuple[pa.Table, dict[str, str]]:
    """The chunk's rows as an Arrow table and, for `_extra`, SQL per undeclared path; ArrowInvalid for any misfit."""
    row_type = arrow_type(shape)
    table = _read(chunk, _schema(row_type, path))
    rows = _rows(table, path)
    undeclared = list(undeclared_in_arrow(shape, rows.type))
    lossless = _text_where_undeclared(shape, rows.type)
    if undeclared and lossless != rows.type:
        rows = _rows(_read(chunk, _schema(lossless, path)), path)
    leftovers = {path_name(p): leftover_in_columns(p) for p in undeclared}
    return pa.Table.from_arrays(rows.flatten(), names=[f.name for f in rows.type]), leftovers


def _read(chunk: bytes, schema: pa.Schema) -> pa.Table:
    longest = max(map(len, chunk.split(b"\n"))) if len(chunk) > BLOCK_BYTES else len(chunk)
    return arrow_json.read_json(
        pa.BufferReader(chunk),
        read_options=arrow_json.ReadOptions(block_size=max(BLOCK_BYTES, longest + 2)),
        parse_options=arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
    )


def _schema(row_type: pa.DataType, path: tuple[str, ...]) -> pa.Schema:
    if not path:
        return pa.schema(list(row_type))
    wire: pa.DataType = pa.list_(row_type)
    for step in reversed(path[1:]):
        wire = pa.struct([(step, wire)])
    return pa.schema([(path[0], wire)])


def _rows(table: pa.Table, path: tuple[str, ...]) -> pa.ChunkedArray:
    if not path:
        return pa.chunked_array(table.to_struct_array().chunks, type=pa.struct(list(table.schema)))
    chunks = []
    for chunk in table[path[0]].chunks:
        for step in path[1:]:
            chunk = chunk.field(step)
        chunks.append(chunk.flatten().drop_null())
    kind: pa.DataType = table.schema.field(path[0]).type
    for step in path[1:]:
        kind = kind.field(step).type
    return pa.chunked_array(chunks, type=kind.value_type)


def _text_where_undeclared(shape: Shape | None, found: pa.DataType) -> pa.DataType:
    """The found type with times as text where nobody declared one: there Arrow guesses, and a guess may lose digits."""
    if pa.types.is_list(found):
        return pa.list_(_text_where_undeclared(shape.element if shape else None, found.value_type))
    if pa.types.is_struct(found):
        declared = (shape.fields if shape else None) or {}
        return pa.struct([(item.name, _text_where_undeclared(declared.get(item.name), item.type)) for item in found])
    return pa.string() if shape is None and pa.types.is_temporal(found) else found
