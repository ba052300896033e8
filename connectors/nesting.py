"""Nested rows that come as lines of their own (Shopify's bulk results), put back into their parents, set-based."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from connectors.parsing import Typing
from connectors.shape import PARENT, Shape, literal, quoted, row_shape, shape_of
from connectors.stream import Page, Stream

CHUNK_BYTES = 32 << 20
BLOCK_BYTES = 1 << 20
# Rows are joined to their parents in shares of this size: the engine cannot spill the lists it builds.
SHARE_BYTES = 128 << 20


def nested_rows(typing: Typing, stream: Stream, page: Page) -> Iterator[tuple[dict[str, str], str, str]]:
    """Per share of the parents: SQL of every column's value, of `_extra`, and of what to select them from.

    A child whose parent is missing, and a parent with a bad child, go to `bad`: half an order is worse than none.
    """
    assert isinstance(page.content, Path)
    connection = typing.connection
    plain = {name: kind for name, kind in stream.types.items() if name not in page.children}
    declared = ", ".join(f"{quoted(name)} {kind}" for name, kind in plain.items())
    connection.execute(f"CREATE TABLE parents ({declared}, _extra VARCHAR)")
    for column in page.children:
        connection.execute(
            f"CREATE TABLE {_runs(column)} "
            f"(parent VARCHAR, position BIGINT, items {stream.types[column]}, extras JSON[])"
        )
    position = 0
    for belongs_to, chunk in chunks_by_parent(page.content, page.children):
        if belongs_to is None:
            extra = typing.type_chunk(chunk, (), row_shape(plain, {}))
            values = ", ".join(f"CAST({quoted(name)} AS {kind})" for name, kind in plain.items())
            connection.execute(f"INSERT INTO parents SELECT {values}, {extra} FROM typed")
        else:
            position += _keep_runs(typing, belongs_to, stream.types[belongs_to], chunk, position)
    for column in page.children:
        connection.execute(
            f"CREATE TABLE {quoted(f'torn {column}')} AS "
            f"SELECT parent FROM {_runs(column)} GROUP BY parent HAVING count(*) > 1"
        )
    shares = max(1, round(page.content.stat().st_size / SHARE_BYTES))
    for share in range(shares):
        yield _share(connection, stream, list(plain), list(page.children), f"hash({{}}) % {shares} = {share}")
    for column in page.children:
        connection.execute(f"DROP TABLE {_runs(column)}")
        connection.execute(f"DROP TABLE {quoted(f'torn {column}')}")
    connection.execute("DROP TABLE parents")


def chunks_by_parent(path: Path, children: Mapping[str, str]) -> Iterator[tuple[str | None, bytes]]:
    """Chunks of JSON lines that belong together: (None, parents) or (list column, its rows).

    `children` is column → id prefix. Children need not follow their parent (`groupObjects` is false by default), so
    nothing is assumed about the order of the file.
    """
    waiting: dict[str | None, list[bytes]] = {column: [] for column in (None, *children)}
    sizes: dict[str | None, int] = dict.fromkeys(waiting, 0)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            for column, lines in _told_apart(block + file.readline(), children):
                waiting[column].append(lines)
                sizes[column] += len(lines)
                if sizes[column] >= CHUNK_BYTES:
                    yield column, b"".join(waiting[column])
                    waiting[column], sizes[column] = [], 0
    for kind, rest in waiting.items():
        if rest:
            yield kind, b"".join(rest)


def _told_apart(block: bytes, children: Mapping[str, str]) -> Iterator[tuple[str | None, bytes]]:
    """The block's lines by what they belong to."""
    block = block if block.endswith(b"\n") else block + b"\n"
    mark, lines = f'"{PARENT}"'.encode(), block.count(b"\n")
    prefixes = [(column, f'"id":"{prefix}'.encode()) for column, prefix in children.items()]
    # Most blocks hold one kind only; counting is a hundred times faster than looking at every line.
    marked = block.count(mark)
    if marked == 0:
        yield None, block
        return
    for column, prefix in prefixes:
        if marked == lines == block.count(prefix):
            yield column, block
            return
    apart: dict[str | None, list[bytes]] = {column: [] for column in (None, *children)}
    for line in block.splitlines(keepends=True):
        # A child of nobody's kind goes with the parents, where its missing fields make it a rejected row.
        its = (name for name, prefix in prefixes if mark in line and prefix.split(b":", 1)[1] in line)
        apart[next(its, None)].append(line)
    for kind, found in apart.items():
        if found:
            yield kind, b"".join(found)


def _runs(column: str) -> str:
    return quoted(f"runs {column}")


def _keep_runs(typing: Typing, column: str, kind: str, chunk: bytes, position: int) -> int:
    """Keep a chunk of children as one list per run of the same parent; how many runs there were.

    Siblings usually stand together, so most lists are whole at once: three times faster than grouping single rows.
    """
    item = kind.removesuffix("[]")
    fields = shape_of(item).fields
    assert fields is not None
    extra = typing.type_chunk(chunk, (), Shape(fields={**fields, PARENT: Shape(type="VARCHAR")}))
    packed = ", ".join(f"{quoted(name)} := {quoted(name)}" for name in fields)
    table = (
        typing.connection.sql(
            f"SELECT {quoted(PARENT)} AS parent, CAST(struct_pack({packed}) AS {item}) AS item, "
            f"{extra}::VARCHAR AS extra FROM typed"
        )
        .to_arrow_table()
        .combine_chunks()
    )
    if not len(table):
        return 0
    parents, items, extras = (table[name].chunk(0) for name in ("parent", "item", "extra"))
    runs = pc.run_end_encode(parents)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), runs.run_ends])
    count = len(runs.values)
    kept = pa.table(
        {
            "parent": runs.values,
            "position": pa.array(range(position, position + count), pa.int64()),
            "items": pa.ListArray.from_arrays(offsets, items),
            "extras": pa.nulls(count, pa.list_(pa.string()))
            if extras.null_count == len(extras)
            else pa.ListArray.from_arrays(offsets, extras),
        }
    )
    typing.connection.register("kept", kept)
    typing.connection.execute(f"INSERT INTO {_runs(column)} SELECT * FROM kept")
    typing.connection.unregister("kept")
    return count


def _share(
    connection: duckdb.DuckDBPyConnection, stream: Stream, plain: list[str], children: list[str], share: str
) -> tuple[dict[str, str], str, str]:
    key = quoted(stream.key[0])
    values = {name: f"parents.{quoted(name)}" for name in plain}
    source, extra = "parents", "parents._extra"
    for number, column in enumerate(children):
        runs, torn, lists = _runs(column), quoted(f"torn {column}"), f"lists{number}"
        mine = share.format("parent")
        connection.execute(
            f"INSERT INTO bad SELECT {literal(column)}, 'its parent is not in the file', to_json(items)::VARCHAR "
            f"FROM {runs} WHERE {mine} AND parent NOT IN (SELECT {key} FROM parents)"
        )
        source += (
            f" LEFT JOIN (SELECT parent, items, extras FROM {runs} "
            f"WHERE {mine} AND parent NOT IN (SELECT parent FROM {torn}) "
            "UNION ALL SELECT parent, flatten(list(items ORDER BY position)), flatten(list(extras ORDER BY position)) "
            f"FROM {runs} WHERE {mine} AND parent IN (SELECT parent FROM {torn}) GROUP BY parent"
            f") {lists} ON {lists}.parent = parents.{key}"
        )
        values[column] = f"coalesce({lists}.items, [])"
        found = f"json_object({literal(column + '[]')}, {lists}.extras)"
        merged = f"json_merge_patch(coalesce({extra}, '{{}}'), {found})"
        extra = (
            f"CASE WHEN len(list_filter({lists}.extras, lambda x: x IS NOT NULL)) > 0 THEN {merged} ELSE {extra} END"
        )
    connection.execute(
        f"INSERT INTO bad SELECT {literal(stream.key[0])}, 'a nested row is bad', to_json(parents)::VARCHAR "
        f"FROM parents WHERE {share.format(key)} AND {key} IN (SELECT parent FROM spoiled)"
    )
    source += f" WHERE {share.format(f'parents.{key}')} AND parents.{key} NOT IN (SELECT parent FROM spoiled)"
    return values, extra, source
