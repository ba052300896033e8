"""Measures identity resolution against the world's truth: pairwise precision, recall and F1, counted in sets.

Truth is for measuring only. Nothing that decides who is who may read it.
"""

from pathlib import Path

import duckdb

# Pairs are never listed: a cell of n records that share cluster and person holds n(n-1)/2 true pairs, a cluster of n
# claims n(n-1)/2, a person of n has n(n-1)/2 (Hubert and Arabie 1985, the contingency form of pair counting).
_COUNTS = """
    WITH joined AS (
      SELECT truth.person_id, coalesce(clusters.customer_id, truth.record_type || '|' || truth.record_id) AS customer_id
      FROM read_parquet($truth) AS truth
      LEFT JOIN read_parquet($clusters) AS clusters USING (record_type, record_id)
      WHERE $record_types IS NULL OR list_contains($record_types, truth.record_type)
    ),
    cells AS (SELECT count(*)::HUGEINT AS n FROM joined GROUP BY person_id, customer_id),
    claimed AS (SELECT count(*)::HUGEINT AS n FROM joined GROUP BY customer_id),
    actual AS (SELECT count(*)::HUGEINT AS n FROM joined GROUP BY person_id)
    SELECT
      (SELECT coalesce(sum(n * (n - 1)), 0)::DOUBLE / 2 FROM cells),
      (SELECT coalesce(sum(n * (n - 1)), 0)::DOUBLE / 2 FROM claimed),
      (SELECT coalesce(sum(n * (n - 1)), 0)::DOUBLE / 2 FROM actual)
"""


def pairwise(
    clusters_parquet: str | Path, truth_parquet: str | Path, record_types: list[str] | None = None
) -> dict[str, float]:
    """Precision, recall and F1 over all pairs of records that the truth knows.

    clusters_parquet: `record_type, record_id, customer_id` (a file or a glob); a record that is missing there stands
    alone. truth_parquet: `record_type, record_id, person_id`. record_types: count only these kinds of records.
    Without a pair to find, recall is 1; without a pair claimed, precision is 1.
    """
    with duckdb.connect() as connection:
        row = connection.execute(
            _COUNTS,
            {"truth": str(truth_parquet), "clusters": str(clusters_parquet), "record_types": record_types},
        ).fetchone()
    assert row is not None
    found, claimed, actual = row
    precision = found / claimed if claimed else 1.0
    recall = found / actual if actual else 1.0
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
    }
