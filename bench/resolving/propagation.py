"""The same resolution in plain SQL: the guards by grouping, then label propagation until nothing changes."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np

from bench.resolving.arrays import Array
from bench.resolving.guards import LIMITS

IDENTIFIERS = """
    CREATE OR REPLACE TEMP TABLE {kind}_links AS
    WITH people AS (
      SELECT hash(record_key) AS record, name_key AS name, {kind} AS value
      FROM read_parquet('{path}') WHERE {kind} IS NOT NULL
    ), names AS (
      SELECT value, name, count(*) AS record_count FROM people GROUP BY ALL
    ), usage AS (
      SELECT value, sum(record_count) AS record_count, count(name) AS name_count FROM names GROUP BY value
    ), judged AS (
      SELECT record, CASE WHEN name_count > {names} THEN CASE WHEN name IS NOT NULL THEN hash('{kind}', value, name) END
        ELSE hash('{kind}', value) END AS link
      FROM people JOIN usage USING (value) WHERE record_count BETWEEN 2 AND {records}
    )
    SELECT record, link FROM judged WHERE link IS NOT NULL
"""

ROUND = """
    CREATE OR REPLACE TEMP TABLE next_labels AS
    WITH nodes AS (
      SELECT link, min(label) AS label FROM links JOIN labels USING (record) GROUP BY link
    )
    SELECT record, min(label) AS label FROM links JOIN nodes USING (link) GROUP BY record
"""


def propagate(
    connection: duckdb.DuckDBPyConnection, path: Path, target: Path, tell: Callable[[str], None]
) -> tuple[tuple[Array, Array], int]:
    """Records and their components (written as Parquet too), and how many rounds it took."""
    for kind, limit in LIMITS.items():
        connection.execute(IDENTIFIERS.format(kind=kind, path=path, names=limit.names, records=limit.records))
    every = " UNION ALL ".join(f"FROM {kind}_links" for kind in LIMITS)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE links AS SELECT DISTINCT * FROM ({every})")
    tell("label propagation: the guards have judged")
    connection.execute("CREATE OR REPLACE TEMP TABLE labels AS SELECT DISTINCT record, record AS label FROM links")
    steps, changed = 0, 1
    while changed:
        connection.execute(ROUND)
        counted = connection.execute(
            "SELECT count(*) FROM labels JOIN next_labels AS n USING (record) WHERE n.label <> labels.label"
        ).fetchone()
        changed = counted[0] if counted else 0
        connection.execute("CREATE OR REPLACE TEMP TABLE labels AS FROM next_labels")
        steps += 1
        tell(f"label propagation: round {steps}, {changed:,} labels changed")
    connection.execute(f"""
        COPY (
          SELECT hash(record_key) AS record, coalesce(labels.label, hash(record_key)) AS label
          FROM read_parquet('{path}') AS people LEFT JOIN labels ON labels.record = hash(people.record_key)
        ) TO '{target}' (FORMAT parquet)""")
    found = connection.execute(f"FROM read_parquet('{target}')").fetchnumpy()
    return (np.asarray(found["record"]), np.asarray(found["label"])), steps
