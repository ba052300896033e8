"""Gives DuckDB the two file operations a mart needs: make its folder, and rename a finished file into place.

DuckDB's COPY writes straight to its target, so a kill would leave half a Parquet file where readers look. The `mart`
materialisation copies to `<lake>/_writing/` and then calls `publish_file`, one rename. Object stores publish with one
PUT and need neither.
"""

import os
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection
from duckdb.sqltypes import VARCHAR


def make_folder(path: str) -> str:
    """Create the folder and its parents; an existing one is kept."""
    Path(path).mkdir(parents=True, exist_ok=True)
    return path


def publish_file(written: str, final: str) -> str:
    """Rename a finished file over the one readers see, in one step, after its bytes are on disk."""
    with open(written, "rb") as finished:
        os.fsync(finished.fileno())
    os.replace(written, final)
    return final


class Plugin(BasePlugin):
    """Registers the two functions on the warehouse connection."""

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        functions: list[tuple[str, Any, list[Any]]] = [
            ("make_folder", make_folder, [VARCHAR]),
            ("publish_file", publish_file, [VARCHAR, VARCHAR]),
        ]
        for name, function, parameters in functions:
            # side_effects stops DuckDB from folding the call away at planning time
            conn.create_function(name, function, parameters, VARCHAR, side_effects=True)
