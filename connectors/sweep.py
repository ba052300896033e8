"""Key sweeps: what the vendor lists against what has landed, so that deletes and merges are seen.

Lists show no deletions. A key that has landed and is not listed is asked for by itself before it counts as gone: a list
that was cut short, or an index that lags, must not bury living customers.
"""

from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from connectors.http import MalformedAnswer
from connectors.lake import Lake
from connectors.landing import Landing, current_rows
from connectors.parsing import lines_of, parsed
from connectors.shape import quoted, row_shape
from connectors.stream import Page, Stream, Vendor

# More than this share gone at once (and more rows than this) is a broken answer or a lost permission, not housekeeping.
BELIEVABLE_SHARE = 0.5
BELIEVABLE_ROWS = 100


@dataclass
class Swept:
    """What a sweep brought: tombstones and rows landed, rows rejected, files committed."""

    rows: int = 0
    deleted: int = 0
    rejected: int = 0
    commits: list[str] = field(default_factory=list)


def sweep(source: str, stream: Stream, vendor: Vendor, lake: Lake) -> Swept:
    """Compare and land the difference: tombstones for what is gone, the rows of what was missed."""
    files = lake.files(f"raw/{source}/{stream.name}")
    if not files:
        return Swept()
    with Landing(source, stream, lake) as landing:
        connection = landing.connection
        keys = ", ".join(quoted(name) for name in stream.key)
        kinds = ", ".join(f"{quoted(name)} {stream.types[name]}" for name in stream.key)
        connection.execute(f"CREATE TABLE listed ({kinds})")
        for page in vendor.keys(stream):
            if page.is_deleted:
                landing.add(page)
            else:
                _list(connection, stream, page)
        connection.execute(f"CREATE TABLE landed AS {current_rows(stream, files)}")
        landing.flush()
        first = quoted(stream.key[0])
        differing = connection.execute(
            f"""
            WITH alive AS (SELECT {keys} FROM landed WHERE NOT _is_deleted),
                 missing AS (SELECT * FROM alive EXCEPT SELECT {keys} FROM listed EXCEPT SELECT {keys} FROM staged),
                 overlooked AS (SELECT * FROM listed EXCEPT SELECT * FROM alive)
            SELECT {first} FROM missing UNION SELECT {first} FROM overlooked ORDER BY 1
            """
        ).fetchall()
        for page in vendor.fetch(stream, [str(row[0]) for row in differing]):
            landing.add(page)
        landing.flush()
        deleted = _bury(connection, stream, keys)
        landed = landing.land()
        return Swept(landed.rows, deleted, landed.rejected, landed.commits)


def _list(connection: duckdb.DuckDBPyConnection, stream: Stream, page: Page) -> None:
    constants = dict(page.constants)
    shape = row_shape({name: stream.types[name] for name in stream.key if name not in constants}, {})
    for lines in lines_of(page):
        table, _ = parsed(lines, page.path, shape)
        for name, value in constants.items():
            if name in stream.key:
                table = table.append_column(name, pa.array([value] * len(table), pa.string()))
        connection.register("found", table)
        connection.execute(f"INSERT INTO listed SELECT {', '.join(quoted(n) for n in stream.key)} FROM found")
        connection.unregister("found")


def _bury(connection: duckdb.DuckDBPyConnection, stream: Stream, keys: str) -> int:
    """Stage a tombstone (key and cursor, no other field) for every landed key that is neither listed nor fetched."""
    cursor = f", {quoted(stream.cursor)}" if stream.cursor else ""
    known = ", _cursor" if stream.cursor else ""
    connection.execute(
        f"""
        CREATE TABLE gone AS
        SELECT {keys}{known} FROM landed
        WHERE NOT _is_deleted AND ({keys}) NOT IN (SELECT ({keys}) FROM listed)
          AND ({keys}) NOT IN (SELECT ({keys}) FROM staged)
        """
    )
    gone, alive = (
        int(connection.execute(sql).fetchall()[0][0])
        for sql in ("SELECT count(*) FROM gone", "SELECT count(*) FROM landed WHERE NOT _is_deleted")
    )
    if gone > max(BELIEVABLE_ROWS, alive * BELIEVABLE_SHARE):
        raise MalformedAnswer(f"{stream.name}: the vendor no longer shows {gone} of {alive} rows; not believed")
    connection.execute(
        f"INSERT INTO staged ({keys}{cursor}, _is_deleted, _row_hash) SELECT {keys}{known}, true, 'deleted' FROM gone"
    )
    return gone
