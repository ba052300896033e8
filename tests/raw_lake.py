"""Writes a raw lake without any vendor, for tests of the warehouse: empty streams, or rows made by hand."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

from connectors.lake import Lake
from connectors.landing import declare
from connectors.sources import SOURCES
from connectors.stream import LANDING_COLUMNS

RAW_COLUMNS = {f"{source.name}/{stream.name}": stream.types for source in SOURCES for stream in source.streams}


def write_empty(root: Path) -> Path:
    """Every raw stream with its schema file and no row, as the ingest stage leaves an unconfigured vendor."""
    lake = Lake(root)
    for source in SOURCES:
        declare(source.name, source.streams, lake)
    return root


def write_rows(root: Path, stream: str, rows: Iterable[Mapping[str, Any]], commit: str = "0001") -> None:
    """Land hand-made rows (missing columns are null) as one commit; `_landed_at` is fixed unless a row says it."""
    columns = RAW_COLUMNS[stream] | LANDING_COLUMNS
    folder = root / "raw" / stream
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / f".{commit}.jsonl"
    with lines.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows):
            unknown = set(row) - set(columns)
            if unknown:
                raise KeyError(f"{stream} has no column {', '.join(sorted(unknown))}")
            landed = {"_landed_at": "2026-10-19 01:00:00", "_is_deleted": False, "_row_hash": f"{commit}-{number}"}
            file.write(json.dumps(landed | dict(row), default=str, ensure_ascii=False) + "\n")
    types = ", ".join(f"'{name}': '{type_}'" for name, type_ in columns.items())
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (FROM read_json('{lines}', format = 'newline_delimited', columns = {{{types}}})) "
            f"TO '{folder}/{commit}.parquet' (FORMAT parquet)"
        )
    lines.unlink()
