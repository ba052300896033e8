"""What a run leaves behind, and how it differs from what another one left: lake, warehouse, receipts, vendors."""

import fcntl
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from connectors.sources import SOURCES

# Everything that may stand in a lake; any other file outside `_writing` is one that a killed writer left to readers.
EXPECTED_FILES = re.compile(
    r"""raw/\w+/\w+/(\w+|[\w-]+)\.parquet | raw/\w+/\w+/swept\.json | rejected/\w+/\w+/[\w-]+\.parquet
    | marts/\w+/data\.parquet | marts/fingerprints\.json
    | scores/\w+/(data|schema)\.parquet | scores/\w+/(card|state)\.json
    | models/\w+/current\.json | models/\w+/\w+/(card\.json|model\.joblib)
    | receipts/\w+/\w+/\d+\.parquet | plans/\w+/\w+/[\w-]+\.(parquet|json)
    | warehouse\.duckdb""",
    re.VERBOSE,
)

# Our own pushes change the list that the next pull reads, and the vendor stamps every change with its clock. How many
# versions of a member were seen on the way depends on when the killed run's half push was read; the newest one, after
# one more pull, does not, but for the stamp.
FED_BACK = {"mailchimp/members"}
VENDORS_STAMPS = ("last_changed", "timestamp_signup", "timestamp_opt", "_row_hash")

# Steps of the warehouse that are not the same after two builds as after one: what the build before left and what has
# moved since (nothing, when the killed build had already written the ids; the history made of it is compared in full,
# as are the other marts), and that list.
NOT_COMPARED = {
    "steps.customer_flows",
    "staging.stg_previous__customer_history",
    "staging.stg_previous__identity_clusters",
    *(f"staging.stg_{stream.replace('/', '__')}" for stream in FED_BACK),
}
# The id that a record had at the build before, beside the one it has, which is compared.
NOT_COMPARED_COLUMNS = {"identity_assignments": ("previous_customer_id",)}
# Columns that hold the machine's clock, in the warehouse's steps and in what is made from them.
CLOCKS = ("filename", "landed_at", "_landed_at")

SAMPLES = 3


def differences(expected: Path, found: Path) -> list[str]:
    """What of the run in `found` is not as in `expected`; both hold a `lake` and the sandbox's `vendors.json`."""
    told: list[str] = []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 1")
        for name, left, right in _tables(expected / "lake", found / "lake"):
            told += _compare(connection, name, left, right)
        told += _duplicates(connection, found / "lake")
        told += _warehouse(connection, expected / "lake", found / "lake")
    told += _models(expected / "lake", found / "lake")
    told += [f"left behind: {name}" for name in _files(found / "lake") if not EXPECTED_FILES.fullmatch(name)]
    told += _locks(found / "lake")
    vendors = [json.loads((folder / "vendors.json").read_text("utf-8")) for folder in (expected, found)]
    told += _unequal("vendors", *vendors)
    return told


def _files(lake: Path) -> list[str]:
    names = [str(path.relative_to(lake)) for path in lake.rglob("*") if path.is_file()]
    return sorted(name for name in names if not name.startswith("_writing/"))


def _tables(expected: Path, found: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """Every dataset of either lake as a name and the SQL of its comparable rows (None: it is not there)."""
    datasets = {
        str(Path(name).parent)
        for lake in (expected, found)
        for name in _files(lake)
        if name.endswith(".parquet") and not name.startswith("plans/")
    }
    for dataset in sorted(datasets):
        left, right = (_rows(lake, dataset) if (lake / dataset).is_dir() else None for lake in (expected, found))
        yield dataset, left, right


def _rows(lake: Path, dataset: str) -> str:
    read = f"read_parquet('{lake / dataset}/*.parquet', union_by_name = true, filename = true)"
    layer, _, stream = dataset.partition("/")
    if layer == "raw" and stream in FED_BACK:
        keys = ", ".join(_keys()[stream])
        return f"""SELECT * EXCLUDE (filename, _landed_at, {", ".join(VENDORS_STAMPS)}) FROM {read}
            QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY last_changed DESC, _landed_at DESC) = 1"""
    if layer == "raw" and not _keys()[stream]:
        # Partitions are replaced whole, so which file a row stands in counts.
        return f"SELECT * EXCLUDE (filename, _landed_at), parse_filename(filename) FROM {read}"
    if layer in ("raw", "rejected"):
        return f"SELECT * EXCLUDE (filename, _landed_at) FROM {read}"
    if layer == "receipts":
        return f"""SELECT * EXCLUDE (filename, sequence, as_of) FROM {read}
            QUALIFY row_number() OVER (PARTITION BY audience_id, member_key ORDER BY sequence DESC) = 1"""
    return f"SELECT {_unstamped(stream)} FROM {read}"


def _unstamped(table: str) -> str:
    """The columns of a table that are the same after every run."""
    left_out = [*CLOCKS, *NOT_COMPARED_COLUMNS.get(table, ())]
    return f"COLUMNS(lambda name: name NOT IN ({', '.join(repr(name) for name in left_out)}))"


def _keys() -> dict[str, tuple[str, ...]]:
    return {f"{source.name}/{stream.name}": stream.key for source in SOURCES for stream in source.streams}


def _compare(connection: duckdb.DuckDBPyConnection, name: str, left: str | None, right: str | None) -> list[str]:
    if left is None or right is None:
        return [f"{name}: {'not there' if right is None else 'there, although an undisturbed run leaves none'}"]
    try:
        columns = [connection.sql(sql).columns for sql in (left, right)]
    except duckdb.Error as error:
        return [f"{name}: unreadable: {str(error).splitlines()[0]}"]
    if columns[0] != columns[1]:
        return [f"{name}: columns {columns[1]} instead of {columns[0]}"]
    # A sum of hashes knows duplicates and no order; rows are only looked at where it differs.
    digests = [
        connection.execute(f"SELECT count(*), sum(hash(t)) FROM ({sql}) AS t").fetchone() for sql in (left, right)
    ]
    if digests[0] == digests[1]:
        return []
    told = []
    for word, these, others in (("missing", left, right), ("too many", right, left)):
        rows = connection.execute(f"({these}) EXCEPT ALL ({others})").fetchall()
        if rows:
            shown = "; ".join(str(dict(zip(columns[0], row, strict=True)))[:400] for row in rows[:SAMPLES])
            told.append(f"{name}: {len(rows)} rows {word}: {shown}")
    return told


def _duplicates(connection: duckdb.DuckDBPyConnection, lake: Path) -> Iterator[str]:
    for stream, key in _keys().items():
        if key and list((lake / "raw" / stream).glob("*.parquet")):
            names = ", ".join([*key, "_row_hash"])
            found = connection.execute(
                f"SELECT {names}, count(*) FROM read_parquet('{lake}/raw/{stream}/*.parquet', union_by_name = true) "
                "GROUP BY ALL HAVING count(*) > 1"
            ).fetchall()
            if found:
                yield f"raw/{stream}: {len(found)} rows landed more than once: {found[:SAMPLES]}"


def _warehouse(connection: duckdb.DuckDBPyConnection, expected: Path, found: Path) -> list[str]:
    """The tables between the marts."""
    told: list[str] = []
    tables: list[set[str]] = []
    for name, lake in (("expected", expected), ("found", found)):
        try:
            connection.execute(f"ATTACH '{lake}/warehouse.duckdb' AS {name} (READ_ONLY)")
        except duckdb.Error as error:
            return [f"the warehouse cannot be opened: {str(error).splitlines()[0]}"]
        rows = connection.execute(
            # what kept models note of how they got here differs with the way; what they keep is compared
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
            "WHERE database_name = ? AND schema_name <> 'kept'",
            [name],
        ).fetchall()
        tables.append({row[0] for row in rows} - NOT_COMPARED)
    for table in sorted(tables[0] | tables[1]):
        is_there = [table in known for known in tables]
        left, right = (
            f"SELECT {_unstamped(table.partition('.')[2])} FROM {name}.{table}" if there else None
            for name, there in zip(("expected", "found"), is_there, strict=True)
        )
        told += _compare(connection, f"warehouse {table}", left, right)
    connection.execute("DETACH expected")
    connection.execute("DETACH found")
    return told


def _models(expected: Path, found: Path) -> Iterator[str]:
    for path in sorted(expected.glob("scores/*/card.json")):
        name = path.relative_to(expected)
        yield from _unequal(str(name), _json(path), _json(found / name))
    for path in sorted(expected.glob("models/*/current.json")):
        name = path.relative_to(expected)
        yield from _unequal(f"{name} version", _json(path)["version"], (_json(found / name) or {}).get("version"))


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def _locks(lake: Path) -> Iterator[str]:
    for path in (lake / "_writing").glob("*.lock"):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield f"{path.name} is still locked"
    try:
        duckdb.connect(str(lake / "warehouse.duckdb")).close()
    except duckdb.Error as error:
        yield f"the warehouse cannot be opened: {str(error).splitlines()[0]}"


def _unequal(name: str, expected: Any, found: Any) -> list[str]:
    """The first places where two JSON values differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        names = sorted(expected.keys() | found.keys())
        told = [line for key in names for line in _unequal(f"{name}.{key}", expected.get(key), found.get(key))]
        return told[:SAMPLES]
    if isinstance(expected, list) and isinstance(found, list):
        missing = [row for row in expected if row not in found][:SAMPLES]
        extra = [row for row in found if row not in expected][:SAMPLES]
        if expected != found:
            return [f"{name}: {len(found)} instead of {len(expected)}; missing {missing}; too many {extra}"[:600]]
        return []
    return [] if expected == found else [f"{name}: {found!r} instead of {expected!r}"[:400]]
