"""Runs dbt on a lake the way a person would, in a process of its own, and opens what it wrote.

What every run repeats is done once a test process: dbt is imported by a server that only forks, and the project is
parsed under one address of the lake, a link that is put on the lake at hand, because dbt parses everything anew when a
variable of its environment has changed.
"""

import atexit
import multiprocessing
import os
import shutil
import sys
import tempfile
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import duckdb

PROJECT = Path(__file__).resolve().parent.parent / "dbt_project"
WORLD_NOW = "2026-10-18T15:00:00Z"
WARM = ["dbt.cli.main", "dbt.task.build", "dbt.adapters.duckdb", "pandas", "pyarrow.parquet", "scipy.sparse.csgraph"]


def dbt(lake: Path, *arguments: str, as_of: str = WORLD_NOW, project: Path = PROJECT) -> str:
    """Run one dbt command on a lake and return what it printed; AssertionError with that text when it fails."""
    home = lake / ".dbt"
    (home / "target").mkdir(parents=True, exist_ok=True)
    parsed, printed = home / "target" / "partial_parse.msgpack", home / "printed.txt"
    slot = _slot()
    if project == PROJECT and not parsed.exists() and (slot / parsed.name).exists():
        shutil.copy2(slot / parsed.name, parsed)
    (slot / "next").symlink_to(lake.resolve())
    (slot / "next").replace(slot / "lake")
    command = ["dbt", *arguments, "--no-use-colors", "--no-send-anonymous-usage-stats"]
    command += ["--project-dir", str(project), "--profiles-dir", str(project)]
    command += ["--target-path", str(home / "target"), "--log-path", str(home / "logs")]
    environment = os.environ | {"KIZUNA_LAKE": str(slot / "lake"), "KIZUNA_AS_OF": as_of}
    process = _warm().Process(target=_run, args=(command, environment, printed))
    process.start()
    process.join()
    text = printed.read_text("utf-8")
    assert process.exitcode == 0, text[-8000:]
    if project == PROJECT and parsed.exists():
        shutil.copy2(parsed, slot / parsed.name)
    return text


@cache
def _slot() -> Path:
    """A folder of this process: the link to the lake at hand and what dbt parsed last."""
    folder = Path(tempfile.mkdtemp(prefix="kizuna-dbt-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _warm() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(WARM)
    return context


def _run(command: list[str], environment: dict[str, str], printed: Path) -> None:
    """Become dbt's own command line."""
    with printed.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(PROJECT)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    from dbt.cli.main import cli

    try:
        cli()
    finally:
        atexit._run_exitfuncs()  # dbt closes the warehouse as the interpreter goes, which a forked child skips


def build(lake: Path, *selected: str) -> str:
    """Build these models and what they stand on, without the tests."""
    return dbt(
        lake, "build", "--exclude-resource-type", "test", "unit_test", "--select", *(f"+{name}" for name in selected)
    )


def mart(lake: Path, name: str) -> str:
    """A mart as DuckDB reads it in a FROM clause."""
    return f"read_parquet('{lake}/marts/{name}/data.parquet')"


def step(lake: Path, name: str) -> str:
    """The same of a step, which has no file: a copy of what stands in the warehouse now."""
    copy = lake / ".dbt" / f"{name}.parquet"
    with duckdb.connect(str(lake / "warehouse.duckdb"), read_only=True) as warehouse:
        warehouse.execute(f"COPY steps.{name} TO '{copy}' (FORMAT parquet)")
    return f"read_parquet('{copy}')"


def rows(sql: str) -> list[tuple[Any, ...]]:
    """What a query over Parquet files answers, in UTC, on a connection of its own."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(sql).fetchall()
