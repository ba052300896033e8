"""Finished query jobs: each result is one Parquet file of ready rows, read page by page."""

import json
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from connectors.sandbox.bigquery_rows import row_json, table_schema
from connectors.sandbox.bigquery_sql import QueryError, translate
from connectors.sandbox.state import State

PAGE_BYTES = 10_000_000
KEPT_JOBS = 40
"""The vendor keeps results for a day; the sandbox keeps the newest jobs."""


@dataclass(frozen=True)
class Job:
    """A finished query."""

    job_id: str
    schema: dict[str, Any]
    row_count: int
    file: Path


class Jobs:
    """The query jobs of one sandbox."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._directory = state.directory / "bigquery-jobs"
        self._directory.mkdir(exist_ok=True)
        for left in self._directory.glob("*.parquet"):
            left.unlink()

    def run(self, query: str) -> Job:
        """Run a query to its end. Raises `QueryError`."""
        return self.store(translate(query, self._state))

    def find(self, job_id: str) -> Job | None:
        with self._lock:
            return self._jobs.get(job_id)

    def store(self, sql: str) -> Job:
        """Write the rows of a DuckDB query in the wire's form."""
        job_id = f"job_{secrets.token_hex(12)}"
        file = self._directory / f"{job_id}.parquet"
        with self._state.cursor() as cursor:
            try:
                relation = cursor.sql(sql)
                names, kinds = list(relation.columns), list(relation.types)
                row = row_json(names, kinds)
                listed = ", ".join(f'"{name}"' for name in names)
                copied = cursor.execute(
                    f"""copy (
                        select n, line, sum(strlen(line)) over (order by n rows unbounded preceding)::bigint as ends
                        from (select row_number() over () as n, {row} as line from ({sql}) r({listed}))
                    ) to '{file}' (format parquet, row_group_size 2048)"""
                ).fetchall()
            except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException) as error:
                message = str(error).splitlines()[0]
                raise QueryError(400, "invalidQuery", f"Query could not be understood: {message}") from error
            except duckdb.Error as error:
                raise QueryError(400, "invalidQuery", str(error).splitlines()[0]) from error
        job = Job(job_id, table_schema(names, kinds), copied[0][0], file)
        self._keep(job)
        return job

    def page(self, job: Job, start: int, limit: int | None) -> tuple[str, int]:
        """(JSON text of the rows' list, number of the row after it) from row `start` (0-based), 10 MB at most."""
        last = job.row_count if limit is None else min(start + limit, job.row_count)
        source = f"read_parquet('{job.file}')"
        with self._state.cursor() as cursor:
            # the bounds first, from two narrow columns: reading on to the end for every page took minutes
            end = cursor.execute(
                f"""select coalesce(max(n), ?) from {source} where n > ? and n <= ? and ends <= {PAGE_BYTES}
                + coalesce((select ends from {source} where n = ?), 0)""",
                [min(start + 1, last), start, last, start],
            ).fetchall()[0][0]
            text = cursor.execute(
                f"select string_agg(line, ',' order by n) from {source} where n > ? and n <= ?", [start, end]
            ).fetchall()[0][0]
        return f"[{text or ''}]", int(end)

    def _keep(self, job: Job) -> None:
        with self._lock:
            self._jobs[job.job_id] = job
            while len(self._jobs) > KEPT_JOBS:
                self._jobs.popitem(last=False)[1].file.unlink(missing_ok=True)


def answer(kind: str, members: dict[str, Any], rows: str | None) -> str:
    """A JSON answer whose rows are already text."""
    head = json.dumps({"kind": kind, **members}, ensure_ascii=False)
    return head if rows is None else f'{head[:-1]}, "rows": {rows}}}'
