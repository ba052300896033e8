"""Runs dbt on a lake the way a person would, in a process of its own, and opens what it wrote."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb

PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"
WORLD_NOW = "2026-10-18T15:00:00Z"


def dbt(lake: Path, *arguments: str, as_of: str = WORLD_NOW, variables: dict[str, Any] | None = None) -> str:
    """Run one dbt command on a lake and return what it printed; AssertionError with that text when it fails."""
    home = lake / ".dbt"
    command = [sys.executable, "-m", "dbt.cli.main", *arguments, "--no-use-colors", "--no-send-anonymous-usage-stats"]
    command += ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    command += ["--target-path", str(home / "target"), "--log-path", str(home / "logs")]
    if variables:
        command += ["--vars", json.dumps(variables)]
    environment = os.environ | {"KIZUNA_LAKE": str(lake), "KIZUNA_AS_OF": as_of}
    finished = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout[-6000:] + finished.stderr[-2000:]
    return finished.stdout


def build(lake: Path, *selected: str) -> str:
    """Build these models and what they stand on, without the tests."""
    return dbt(
        lake, "build", "--exclude-resource-type", "test", "unit_test", "--select", *(f"+{name}" for name in selected)
    )


def mart(lake: Path, name: str) -> str:
    """A mart as DuckDB reads it in a FROM clause."""
    return f"read_parquet('{lake}/marts/{name}/data.parquet')"


def rows(sql: str) -> list[tuple[Any, ...]]:
    """What a query over Parquet files answers, in UTC, on a connection of its own."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()
