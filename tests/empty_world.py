"""A world without people, for tests that bring their own few: every table of the schema with zero rows."""

from __future__ import annotations

from pathlib import Path

import duckdb

from connectors.sandbox.schema import TABLES


class EmptyWorld:
    """Quacks like `connectors.sandbox.world.World` for the sandbox: one Parquet file per table, all of them empty."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "empty-world"
        self._directory.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            for table, columns in TABLES.items():
                listed = ", ".join(f"null::{kind} as {name}" for name, kind in columns.items())
                connection.execute(f"copy (select {listed} where false) to '{self.path(table)}' (format parquet)")

    def path(self, table: str) -> Path:
        return self._directory / f"{table}.parquet"
