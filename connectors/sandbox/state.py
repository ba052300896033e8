"""What the pretended vendors hold: one mutable DuckDB file with the world's tables, and the sandbox's clock.

The file outlives the server, so a second run of the pipeline meets the same mailing list and the same ad account.
"""

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import duckdb

from connectors.sandbox.schema import TABLES

WORLD_NOW = datetime(2026, 10, 18, 15)
"""The world's present (UTC, no zone): midnight in Tokyo after its last day."""

WORLD_TABLES = tuple(table for table in TABLES if table not in {"persons", "truth"})
"""The tables a vendor may see. `persons` and `truth` stay with the world: nothing served may know them."""

FILE_NAME = "sandbox.duckdb"


class WorldTables(Protocol):
    """What the sandbox needs of a world: one Parquet file per table."""

    def path(self, table: str) -> Path: ...


class State:
    """The mutable side of the sandbox. Reads take a cursor each; writers hold `lock` (or use `write()`)."""

    def __init__(self, world: WorldTables, directory: Path | str) -> None:
        self.directory = Path(directory)
        prepare(world, self.directory)
        try:
            self._connection = duckdb.connect(str(self.directory / FILE_NAME), config=_SETTINGS)
            self._connection.execute("set enable_progress_bar = false")
        except duckdb.IOException as error:
            raise RuntimeError(
                f"{self.directory / FILE_NAME} is in use: another sandbox runs on it; stop that one or pass --state"
            ) from error
        found, expected = self.value("select world from sandbox_origin"), _origin(world)
        if found != expected:
            self._connection.close()
            raise RuntimeError(f"{self.directory} holds the state of world {found}, not of {expected}; delete it first")
        self.lock = threading.RLock()
        self.changes_behind_vendors = 0
        """How often `execute` has run: what the vendors' code has cached of its tables may be stale after it."""
        self.search_lag: dict[str, timedelta] = {}
        """How far a vendor's search and lists are behind its writes; none by default."""
        self._clock_lock = threading.Lock()
        self._now: datetime = self.value("select now from sandbox_clock")

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own for one request or thread; close it (it is a context manager)."""
        return self._connection.cursor()

    @contextmanager
    def write(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """One serialised transaction that moves the clock on by a second; rolled back when the body raises."""
        with self.lock, self.cursor() as cursor:
            cursor.begin()
            try:
                yield cursor
            except BaseException:
                cursor.rollback()
                raise
            cursor.commit()
            self.tick()

    def rows(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        with self.cursor() as cursor:
            return cursor.execute(sql, parameters).fetchall()

    def value(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> Any:
        """The first column of the first row, or None when there is no row."""
        with self.cursor() as cursor:
            row = cursor.execute(sql, parameters).fetchone()
            return None if row is None else row[0]

    def execute(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Change the world behind the vendors' backs (late rows, deletes, opt-outs); returns the statement's rows."""
        with self.lock, self.cursor() as cursor:
            self.changes_behind_vendors += 1
            result = cursor.execute(sql, parameters)
            return result.fetchall() if result.description else []

    def now(self) -> datetime:
        """The sandbox's present, UTC without zone: the world's, plus a second for every change made since."""
        return self._now

    def searchable_until(self, vendor: str) -> datetime:
        """Rows changed later than this are not in the vendor's search yet (lists that go by it included)."""
        lag = self.search_lag.get(vendor)
        return datetime.max if lag is None else self._now - lag

    def tick(self, seconds: int = 1) -> datetime:
        """Move the clock on; every mutating request calls this once, so that two runs see the same times."""
        with self._clock_lock, self.cursor() as cursor:
            self._now += timedelta(seconds=seconds)
            cursor.execute("update sandbox_clock set now = ?", [self._now])
            return self._now

    def close(self) -> None:
        self._connection.close()


# The demo counts the memory of every process it starts; the sandbox's engine must stay a small part of it.
_SETTINGS: dict[str, Any] = {"memory_limit": "1GB", "threads": 2}


def prepare(world: WorldTables, directory: Path) -> Path:
    """Build the state file from the world unless it is there; a half-built file is never found under its name."""
    file = directory / FILE_NAME
    if file.exists():
        return file
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = directory / f"{FILE_NAME}.building"
    unfinished.unlink(missing_ok=True)
    with duckdb.connect(str(unfinished), config=_SETTINGS) as connection:
        connection.execute("set enable_progress_bar = false")
        for table in WORLD_TABLES:
            connection.execute(f"create table {table} as select * from read_parquet(?)", [str(world.path(table))])
        connection.execute("create table sandbox_clock as select ?::timestamp as now", [WORLD_NOW])
        connection.execute("create table sandbox_origin as select ? as world", [_origin(world)])
        connection.execute("checkpoint")
    unfinished.rename(file)
    return file


def _origin(world: WorldTables) -> str:
    """The world's own folder name: a digest of its seed and size."""
    return Path(world.path("shopify_customers")).resolve().parent.name


def copy_prepared(prepared: Path, directory: Path) -> None:
    """Give a test its own state in a fraction of a second: copy a prepared folder."""
    shutil.copytree(prepared, directory, dirs_exist_ok=True)
