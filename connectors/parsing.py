"""The fast way from JSON text to typed columns: Arrow's reader, a few dozen megabytes at a time."""

import json
from collections.abc import Iterator
from itertools import islice

import pyarrow as pa
import pyarrow.json as arrow_json

from connectors.nesting import nested_lines
from connectors.shape import Shape, arrow_type, leftover_in_columns, path_name, undeclared_in_arrow
from connectors.stream import Page

CHUNK_BYTES = 32 << 20
BLOCK_BYTES = 4 << 20
NESTED_LINES_AT_ONCE = 2000


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
    elif page.children:
        # A hundred thousand appends of one line each would cost more than the parsing.
        nested = nested_lines(page.content, page.children)
        while block := b"".join(islice(nested, NESTED_LINES_AT_ONCE)):
            yield block
    else:
        with page.content.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                block += file.readline()
                yield block if block.endswith(b"\n") else block + b"\n"


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
