"""Landing: pages as the vendor sent them become one typed Parquet commit, set-based and in bounded memory.

Arrow's JSON reader parses a few dozen megabytes at a time straight into the declared types and reports what nobody
declared; DuckDB adds the extra fields, hashes, drops what has already landed and writes. Only a chunk that Arrow
refuses goes the careful way, row by row in SQL: single bad rows are kept as rejected rows with a reason, many of them
are a broken contract and nothing of the stream lands.
"""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.parquet import ParquetWriter

from connectors.http import ContractError, redact
from connectors.lake import SCHEMA_FILE, Lake, commit_name
from connectors.nesting import nested_rows
from connectors.parsing import Typing, lines_of
from connectors.shape import EACH, literal, quoted, row_shape
from connectors.stream import Page, Stream

MEMORY_LIMIT = "768MB"
ROWS_AT_ONCE = 50_000
CHUNK_BYTES = 32 << 20
# A few odd rows are data errors and are kept aside; more than that and the vendor has changed something.
TOLERATED_BAD_ROWS = 3
TOLERATED_BAD_SHARE = 0.01
SAMPLE_LENGTH = 80
# Parquet metadata of a partition's file: the vendor's own mark of the version that was read.
VERSION_KEY = "kizuna.version"


@dataclass
class Landed:
    """What one read brought: rows seen at the vendor, rows newly in the lake, rows rejected, files committed."""

    seen: int = 0
    rows: int = 0
    rejected: int = 0
    commits: list[str] = field(default_factory=list)


class _Form(NamedTuple):
    """What must be equal for pages to be parsed together."""

    path: tuple[str, ...]
    constants: tuple[tuple[str, str], ...]
    unwrap: tuple[tuple[str, str], ...]
    is_deleted: bool


class Landing:
    """One read of one stream on its way into the lake: `add` every page, then `land`; closes its scratch on exit.

    `started_at` is when the read began: every row is at least as new as that, so it is what `_landed_at` says.
    """

    def __init__(self, source: str, stream: Stream, lake: Lake, started_at: datetime | None = None) -> None:
        self.stream, self.lake = stream, lake
        self.dataset = f"raw/{source}/{stream.name}"
        self.rejected_dataset = f"rejected/{source}/{stream.name}"
        self._address = f"{source}.{stream.name}"
        self._started_at = (started_at or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
        self._scratch = Path(tempfile.mkdtemp(prefix="kizuna-landing-"))
        self.connection = lake.connect()
        self.connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
        self.connection.execute(f"SET temp_directory = {literal(str(self._scratch / 'spill'))}")
        declared = ", ".join(f"{quoted(name)} {type_text}" for name, type_text in stream.types.items())
        self.connection.execute(
            f"CREATE TABLE staged ({declared}, _extra VARCHAR, _is_deleted BOOLEAN, _row_hash VARCHAR)"
        )
        self._typing = Typing(self.connection)
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._form: _Form | None = None
        self._partitions: dict[str, str] = {}

    def __enter__(self) -> "Landing":
        return self

    def __exit__(self, *exception: object) -> None:
        self.connection.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def add(self, page: Page) -> None:
        """Take one page; an empty one is harmless."""
        self._partitions |= page.partitions
        if page.children:
            self.flush()
            for values, extra, source in nested_rows(self._typing, self.stream, page):
                self._insert(self._cast(values, extra), source, False)
            return
        form = _Form(
            page.path, tuple(sorted(page.constants.items())), tuple(sorted(page.unwrap.items())), page.is_deleted
        )
        if self._form != form:
            self.flush()
            self._form = form
        for lines in lines_of(page):
            self._buffer.append(lines)
            self._buffered += len(lines)
            if self._buffered >= CHUNK_BYTES:
                self.flush()

    def land(self) -> Landed:
        """Commit what is new; ContractError (and nothing committed) when too many rows do not look as declared."""
        self.flush()
        self._reject_empty()
        seen, bad = self._count("staged"), self._count("bad")
        self._refuse_broken_contract(seen + bad)
        landed = Landed(seen=seen)
        # The rejected first: killed in between, the next read starts from the rows that landed, past the rejected ones.
        self._land_rejected(landed)
        if self.stream.partition_by:
            self._land_partitions(landed, self.stream.partition_by)
        else:
            self._land_append(landed)
        return landed

    def flush(self) -> None:
        """Type what has been added so far."""
        if self._buffer and self._form:
            constants, unwrap = dict(self._form.constants), dict(self._form.unwrap)
            types = {name: kind for name, kind in self.stream.types.items() if name not in constants}
            extra = self._typing.type_chunk(b"".join(self._buffer), self._form.path, row_shape(types, unwrap))
            values = {name: literal(value) for name, value in constants.items()} | {
                name: f"{quoted(name)}.{quoted(unwrap[name])}" if name in unwrap else quoted(name) for name in types
            }
            self._insert(self._cast(values, extra), "typed", self._form.is_deleted)
        self._buffer, self._buffered = [], 0

    # ── from typed rows to commits ──

    def _cast(self, values: Mapping[str, str], extra: str) -> str:
        columns = [f"CAST({values[name]} AS {kind}) AS {quoted(name)}" for name, kind in self.stream.types.items()]
        return f"{', '.join(columns)}, {extra} AS _extra"

    def _insert(self, columns: str, source: str, is_deleted: bool) -> None:
        names = ", ".join(quoted(name) for name in self.stream.types)
        self.connection.execute(
            f"INSERT INTO staged SELECT *, {is_deleted}, lower(to_hex(hash({names}, _extra, {is_deleted}))) "
            f"FROM (SELECT {columns} FROM {source})"
        )

    def _reject_empty(self) -> None:
        """Put rows without a key or a required field aside."""
        needed = dict.fromkeys((*self.stream.key, *self.stream.required))
        if not needed:
            return
        empty = f"CASE {' '.join(f'WHEN {quoted(n)} IS NULL THEN {literal(n)}' for n in needed)} END"
        # Tombstones hold their key and nothing else.
        where = f"{empty} IS NOT NULL AND NOT (_is_deleted AND {quoted(next(iter(needed)))} IS NOT NULL)"
        self.connection.execute(
            f"INSERT INTO bad SELECT {empty}, 'required but empty', to_json(staged)::VARCHAR FROM staged WHERE {where}"
        )
        self.connection.execute(f"DELETE FROM staged WHERE {where}")

    def _refuse_broken_contract(self, total: int) -> None:
        worst = self.connection.execute(
            "SELECT _field, _reason, count(*), min(_row) FROM bad GROUP BY ALL ORDER BY count(*) DESC LIMIT 1"
        ).fetchall()
        if not worst:
            return
        [(name, reason, count, row)] = worst
        is_all = count == total and total > 1
        if not is_all and count <= max(TOLERATED_BAD_ROWS, total * TOLERATED_BAD_SHARE):
            return
        sample = None if name is None or reason == "required but empty" else self._sample(name, row)
        raise ContractError(self._address, name or "(row)", f"{reason} in {count} of {total} rows", sample)

    def _sample(self, name: str, row: str) -> str:
        """The offending value, shortened; only its JSON type for personal fields."""
        value: Any = json.loads(row)
        for step in name.replace(EACH, f".{EACH}").split("."):
            if step == EACH:
                value = next(iter(value), None) if isinstance(value, list) else None
            elif isinstance(value, dict):
                value = value.get(step)
        if name.split(".")[0].removesuffix(EACH) in self.stream.personal:
            kinds = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", int: "a number"}
            return f"{kinds.get(type(value), 'a value')} (personal, not shown)"
        return redact(json.dumps(value, ensure_ascii=False))[:SAMPLE_LENGTH]

    def _land_append(self, landed: Landed) -> None:
        keys = ", ".join(quoted(name) for name in self.stream.key)
        # One of each: a page served twice, or the overlap with the page before, is the same row again.
        self.connection.execute(
            f"CREATE TABLE fresh AS SELECT min(rowid) AS row_number, {keys}, _row_hash FROM staged GROUP BY ALL"
        )
        files = self.lake.files(self.dataset)
        if files:
            self.connection.execute(f"CREATE TABLE current AS {current_rows(self.stream, files, 'fresh')}")
            matches = " AND ".join(f"fresh.{quoted(k)} = current.{quoted(k)}" for k in (*self.stream.key, "_row_hash"))
            self.connection.execute(f"DELETE FROM fresh USING current WHERE {matches}")
        landed.rows = self._count("fresh")
        if landed.rows:
            where = "" if landed.rows == self._count("staged") else "WHERE rowid IN (SELECT row_number FROM fresh)"
            landed.commits.append(self._write(f"SELECT * FROM staged {where}"))

    def _land_partitions(self, landed: Landed, column: str) -> None:
        """Replace the files of partitions whose rows differ from what they hold; equal rows stay as often as they are.

        GA4 exports some events twice. Which of equal rows to believe is for staging to say; here they are the vendor's.
        """
        name = quoted(column)
        changed = [part for part in self._partitions if not self._is_landed(part, name)]
        self.connection.execute("CREATE TABLE changed AS SELECT unnest(?::VARCHAR[]) AS part", [changed])
        reader = self.connection.sql(
            f"SELECT {self._landed_columns()} FROM staged WHERE {name} IN (SELECT part FROM changed) ORDER BY {name}"
        ).to_arrow_reader(ROWS_AT_ONCE)
        batches = _by_value(reader, column)
        waiting = next(batches, None)
        for part in sorted(changed):
            schema = reader.schema.with_metadata({VERSION_KEY: self._partitions[part]})
            with self.lake.commit(self.dataset, part) as path, ParquetWriter(path, schema, compression="zstd") as file:
                while waiting is not None and waiting[0] == part:
                    file.write_batch(waiting[1])
                    landed.rows += len(waiting[1])
                    waiting = next(batches, None)
            landed.commits.append(f"{part}.parquet")

    def _is_landed(self, part: str, name: str) -> bool:
        if not self.lake.exists(self.dataset, f"{part}.parquet"):
            return False
        old = f"SELECT _row_hash FROM read_parquet({literal(self.lake.path(self.dataset, f'{part}.parquet'))})"
        new = f"SELECT _row_hash FROM staged WHERE {name} = {literal(part)}"
        return self._count(f"(({new} EXCEPT ALL {old}) UNION ALL ({old} EXCEPT ALL {new}))") == 0

    def _write(self, rows: str) -> str:
        name = commit_name()
        # The order of rows in the file means nothing, and keeping it would keep much of the file in memory.
        self.connection.execute("SET preserve_insertion_order = false")
        with self.lake.commit(self.dataset, name) as path:
            self.connection.execute(
                f"COPY (SELECT {self._landed_columns()} FROM ({rows})) TO {literal(path)} "
                "(FORMAT parquet, COMPRESSION zstd)"
            )
        return name

    def _landed_columns(self) -> str:
        names = ", ".join(quoted(name) for name in self.stream.types)
        stamp = f"TIMESTAMP {literal(self._started_at.isoformat(sep=' '))}"
        return f"{names}, _extra, {stamp} AS _landed_at, _is_deleted, _row_hash"

    def _land_rejected(self, landed: Landed) -> None:
        files = self.lake.files(self.rejected_dataset)
        # The overlap reads a bad row again every night; it is reported once.
        known = f"SELECT _row FROM read_parquet({_list(files)})" if files else "SELECT NULL WHERE false"
        rows = f"SELECT DISTINCT _reason, _field, _row FROM bad WHERE _row NOT IN ({known})"
        landed.rejected = self._count(f"({rows})")
        if landed.rejected:
            with self.lake.commit(self.rejected_dataset) as path:
                self.connection.execute(
                    f"COPY (SELECT *, TIMESTAMP {literal(self._started_at.isoformat(sep=' '))} AS _landed_at "
                    f"FROM ({rows})) TO {literal(path)} (FORMAT parquet)"
                )

    def _count(self, table: str) -> int:
        # fetchall, here and everywhere: DuckDB refuses relations while a result has rows left to fetch.
        [(count,)] = self.connection.execute(f"SELECT count(*) FROM {table}").fetchall()
        return int(count)


def _by_value(batches: Iterable[pa.RecordBatch], column: str) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Slices of sorted batches in which the column has one value."""
    for batch in batches:
        runs = pc.run_end_encode(batch.column(column))
        start = 0
        for value, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            yield value, batch.slice(start, end - start)
            start = end


def current_rows(stream: Stream, files: list[str], among: str | None = None) -> str:
    """SQL for the newest landed state of each key: key, _row_hash, _is_deleted and the cursor.

    `among` names a table of keys to stay within. Newest by landing, then by cursor: one read may bring two versions.
    """
    keys = ", ".join(quoted(name) for name in stream.key)
    order = f"row(_landed_at, {quoted(stream.cursor)})" if stream.cursor else "_landed_at"
    cursor = f", arg_max({quoted(stream.cursor)}, {order}) AS _cursor" if stream.cursor else ""
    where = f"WHERE ({keys}) IN (SELECT ({keys}) FROM {among})" if among else ""
    newest = f"arg_max(_row_hash, {order}) AS _row_hash, arg_max(_is_deleted, {order}) AS _is_deleted{cursor}"
    return f"SELECT {keys}, {newest} FROM read_parquet({_list(files)}, union_by_name = true) {where} GROUP BY {keys}"


def declare(source: str, streams: Iterable[Stream], lake: Lake) -> None:
    """Write the zero-row schema file of each stream where it is not there or the columns have changed."""
    with lake.connect() as connection:  # one for all: opening a database costs more than reading a schema
        for stream in streams:
            dataset = f"raw/{source}/{stream.name}"
            if lake.exists(dataset, SCHEMA_FILE):
                path = lake.path(dataset, SCHEMA_FILE)
                found = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(path)})").fetchall()
                expected = [(name, str(duckdb.sqltype(type_text))) for name, type_text in stream.table_types.items()]
                if [(row[0], row[1]) for row in found] == expected:
                    continue
            columns = ", ".join(f"CAST(NULL AS {t}) AS {quoted(n)}" for n, t in stream.table_types.items())
            with lake.commit(dataset, SCHEMA_FILE) as path:
                connection.execute(f"COPY (SELECT {columns} LIMIT 0) TO {literal(path)} (FORMAT parquet)")


def _list(files: list[str]) -> str:
    return "[" + ", ".join(literal(file) for file in files) + "]"
