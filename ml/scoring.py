"""Scoring: the newest snapshot of every customer, a batch at a time from Parquet to Parquet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml.declaration import Model, Target
from ml.models import find
from ml.snapshots import BATCH_ROWS, SnapshotError, batches, features_of, newest_as_of, open_snapshots
from ml.store import Fitted, ModelStore


@dataclass(frozen=True)
class Scored:
    """What was written: rows by the version that gave them (None: no model is in use, nothing is scored).

    `unseen` counts rows by text column whose value training never met; such a value counts as missing. Rows of a
    category the model does not know are left out and counted in `unscored`.
    """

    rows: int
    version: str | None
    as_of: datetime | None
    unseen: dict[str, int] = field(default_factory=dict)
    unscored: dict[str, int] = field(default_factory=dict)


def schema_of(model: Model | str) -> pa.Schema:
    """The columns of a model's scores."""
    declared = find(model)
    category = [pa.field("category", pa.string())] if declared.has_category else []
    return pa.schema(
        [
            pa.field("customer_id", pa.string()),
            pa.field("as_of", pa.timestamp("us")),
            *category,
            pa.field(declared.score_column, pa.float64()),
            pa.field("model_version", pa.string()),
            pa.field("scored_at", pa.timestamp("us")),
        ]
    )


def empty_scores(model: Model | str, path: str) -> None:
    """Write the schema of a model's scores with no rows, so that readers find the columns before any model exists."""
    pq.write_table(schema_of(model).empty_table(), path)


def score(
    model: Model | str, snapshots: Mapping[str, str], models_dir: str, out_path: str, batch_rows: int = BATCH_ROWS
) -> Scored:
    """Write the scores of the newest as-of time by the version in use; memory grows with the batch, not the table.

    Without a version in use the file has no rows: no scores are better than unearned ones. Raises `SnapshotError` when
    the snapshots lack a column the version learned from.
    """
    declared = find(model)
    store = ModelStore(models_dir, declared.name)
    version = store.version_in_use()
    if version is None:
        empty_scores(declared, out_path)
        return Scored(rows=0, version=None, as_of=None)
    stored = store.load(version)
    schema = schema_of(declared)
    as_ofs = {target.table: newest_as_of(open_snapshots(snapshots[target.table])) for target in declared.targets}
    if len(set(as_ofs.values())) > 1:
        stated = ", ".join(f"{table} {as_of}" for table, as_of in as_ofs.items())
        raise SnapshotError(f"the snapshots end at different times ({stated}); build them in one dbt run")
    as_of = next(iter(as_ofs.values()))
    rows = 0
    unseen: Counter[str] = Counter()
    unscored: Counter[str] = Counter()
    with pq.ParquetWriter(out_path, schema, compression="zstd") as writer:
        for target in declared.targets:
            if as_of is None:
                continue
            dataset = open_snapshots(snapshots[target.table])
            fitted = stored[target.name]
            features = fitted.deployed.features
            gone = sorted(set(features.names) - set(features_of(dataset, target).names))
            if gone:
                raise SnapshotError(
                    f"{target.table} lacks {', '.join(gone)}, which {declared.name} {version} learned from; "
                    "bring the column back or train again"
                )
            for frame in batches(dataset, target, features, as_of, batch_rows):
                known = _known(frame, target, fitted, unseen, unscored)
                if len(known):
                    probability = fitted.deployed.probability(known)
                    writer.write_table(_table(schema, declared, target, known, probability, version, as_of))
                    rows += len(known)
    return Scored(rows, version, as_of, dict(unseen), dict(unscored))


def _known(
    frame: pd.DataFrame, target: Target, fitted: Fitted, unseen: Counter[str], unscored: Counter[str]
) -> pd.DataFrame:
    """The rows the model can speak about, with a count of what it has never met."""
    for name, values in fitted.texts.items():
        strange = ~frame[name].isin(values)
        if not strange.any():
            continue
        if name == target.category:
            unscored.update(frame.loc[strange, name].tolist())
            frame = frame[~strange]
        else:
            unseen[name] += int(strange.sum())
    return frame


def _table(
    schema: pa.Schema,
    model: Model,
    target: Target,
    frame: pd.DataFrame,
    probability: np.ndarray,
    version: str,
    as_of: datetime,
) -> pa.Table:
    size = len(frame)
    columns: dict[str, object] = {
        "customer_id": frame["customer_id"].tolist(),
        "as_of": [as_of] * size,
        # Six digits: the last bits of a double differ between processors and would count as a changed payload.
        model.score_column: np.round(probability, 6),
        "model_version": [version] * size,
        "scored_at": [as_of] * size,
    }
    if model.has_category:
        columns["category"] = frame[target.category].tolist() if target.category else [target.name] * size
    return pa.table({name: pa.array(columns[name], schema.field(name).type) for name in schema.names}, schema=schema)
