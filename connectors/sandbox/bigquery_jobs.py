"""Finished query jobs: each result is one Parquet file of ready rows, read page by page."""

import json
import secrets
import threading
from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import duckdb

from connectors.sandbox.bigquery_rows import row_json, table_schema
from connectors.sandbox.bigquery_sql import QueryError, translate
from connectors.sandbox.state import State

PAGE_BYTES = 10_000_000
SMALL_ROWS = 4_000
"""Results of up to this many rows stay in memory; writing a file for each of a year's day tables took longest."""
KEPT_BYTES = 60_000_000
KEPT_JOBS = 40
"""The vendor keeps results for a day; the sandbox keeps the newest."""


@dataclass(frozen=True)
class Job:
    """A finished query: its rows as JSON texts, in memory or in a file."""

    job_id: str
    schema: dict[str, Any]
    row_count: int
    lines: list[str] | None = None
    file: Path | None = None

    @property
    def size(self) -> int:
        """Bytes of memory, roughly."""
        return sum(map(len, self.lines or ()))


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
        """Run a GoogleSQL query to its end. Raises `QueryError`."""
        return self.store(translate(query, self._state))

    def find(self, job_id: str) -> Job | None:
        with self._lock:
            return self._jobs.get(job_id)

    def store(self, sql: str) -> Job:
        """Keep the rows of a DuckDB query in the wire's form."""
        job_id = f"job_{secrets.token_hex(12)}"
        with self._state.cursor() as cursor:
            try:
                job = self._finished(cursor, job_id, sql)
            except duckdb.Error as error:
                message = str(error).splitlines()[0]
                raise QueryError(400, "invalidQuery", f"Query could not be run: {message}") from error
        with self._lock:
            self._jobs[job_id] = job
            while len(self._jobs) > KEPT_JOBS or sum(j.size for j in self._jobs.values()) > KEPT_BYTES:
                oldest = self._jobs.popitem(last=False)[1]
                if oldest.file:
                    oldest.file.unlink(missing_ok=True)
        return job

    def _finished(self, cursor: duckdb.DuckDBPyConnection, job_id: str, sql: str) -> Job:
        relation = cursor.sql(sql)
        names, kinds = list(relation.columns), list(relation.types)
        schema = table_schema(names, kinds)
        listed = ", ".join(f'"{name}"' for name in names)
        lines = f"select {row_json(names, kinds)} as line from ({sql}) r({listed})"
        # counting needs hardly a column; writing a large result twice to learn its size took longest
        count = cursor.execute(f"select count(*) from ({sql})").fetchall()[0][0]
        if count <= SMALL_ROWS:
            found = cursor.execute(lines).fetchall()
            return Job(job_id, schema, len(found), lines=[row[0] for row in found])
        file = self._directory / f"{job_id}.parquet"
        copied = cursor.execute(
            f"""copy (
                select n, line, sum(strlen(line)) over (order by n rows unbounded preceding)::bigint as ends
                from (select row_number() over () as n, line from ({lines}))
            ) to '{file}' (format parquet, row_group_size 2048)"""
        ).fetchall()
        return Job(job_id, schema, copied[0][0], file=file)

    def page(self, job: Job, start: int, limit: int | None) -> tuple[str, int]:
        """(JSON text of the rows' list, number of the row after it) from row `start` (0-based), 10 MB at most."""
        last = job.row_count if limit is None else min(start + limit, job.row_count)
        if job.lines is not None:
            ends = list(accumulate(len(line.encode()) for line in job.lines[start:last]))
            count = max(bisect_right(ends, PAGE_BYTES), min(1, len(ends)))
            return f"[{','.join(job.lines[start : start + count])}]", start + count
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


def answer(kind: str, members: dict[str, Any], rows: str | None) -> str:
    """A JSON answer whose rows are already text."""
    head = json.dumps({"kind": kind, **members}, ensure_ascii=False)
    return head if rows is None else f'{head[:-1]}, "rows": {rows}}}'
