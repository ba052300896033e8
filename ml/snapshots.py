"""Reading snapshots: features found in the schema, values checked, rows handed over in bounded batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from ml.declaration import Features, Target
from ml.windows import Window

BATCH_ROWS = 50_000
OUTCOME_PREFIX = "outcome_"


class SnapshotError(ValueError):
    """A snapshot that cannot be learned from or scored; the message names the column and the remedy."""


def open_snapshots(path: str) -> ds.Dataset:
    """The Parquet file or folder at a path or fsspec URL."""
    filesystem, root = fsspec.core.url_to_fs(path)
    remedy = f"no snapshots at {path}; build the dbt models of dbt_project/models/features"
    try:
        dataset = ds.dataset(root, filesystem=filesystem, format="parquet")
    except FileNotFoundError as missing:
        raise SnapshotError(remedy) from missing
    if not dataset.files:
        raise SnapshotError(remedy)
    return dataset


def features_of(dataset: ds.Dataset, target: Target) -> Features:
    """Every column that is neither key nor outcome; the category is both key and feature.

    Raises `SnapshotError` for a missing key, outcome or recency column and for a type that is no feature.
    """
    schema = dataset.schema
    for column in (*target.keys, target.outcome, target.recency):
        if column not in schema.names:
            raise SnapshotError(f"{target.table}.{column} is missing; the model declares it in ml, dbt must build it")
    numeric, text = [], []
    for field in schema:
        if field.name in ("customer_id", "as_of") or field.name.startswith(OUTCOME_PREFIX):
            continue
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            text.append(field.name)
        elif (
            pa.types.is_integer(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_decimal(kind)
            or pa.types.is_boolean(kind)
        ):
            numeric.append(field.name)
        else:
            raise SnapshotError(
                f"{target.table}.{field.name} is {field.type}: a feature is a number, a boolean or a text; "
                "express a time as days before as_of"
            )
    return Features(tuple(sorted(numeric)), tuple(sorted(text)))


def windows_of(dataset: ds.Dataset, target: Target) -> list[Window]:
    """The as-of times in the table, oldest first, counted without loading a feature.

    Raises `SnapshotError` when an outcome is stated before its window has closed: the snapshot looks into the future.
    """
    counts: dict[datetime, list[int]] = {}
    for batch in dataset.to_batches(columns=["as_of", target.outcome], batch_size=BATCH_ROWS):
        grouped = pa.table(
            {
                "as_of": batch.column("as_of"),
                "known": pc.cast(pc.is_valid(batch.column(target.outcome)), pa.int64()),
                "positive": pc.cast(pc.fill_null(batch.column(target.outcome), False), pa.int64()),
            }
        ).group_by("as_of")
        aggregates = grouped.aggregate([("known", "count"), ("known", "sum"), ("positive", "sum")]).to_pylist()
        for row in aggregates:
            if row["as_of"] is None:
                raise SnapshotError(f"{target.table}.as_of is null; every snapshot row states its as-of time")
            sums = counts.setdefault(_utc(row["as_of"]), [0, 0, 0])
            sums[0] += row["known_count"]
            sums[1] += row["known_sum"]
            sums[2] += row["positive_sum"]
    windows = [Window(as_of, *counted) for as_of, counted in sorted(counts.items())]
    horizon = timedelta(days=target.horizon_days)
    for window in windows:
        if window.known and window.as_of + horizon > windows[-1].as_of:
            raise SnapshotError(
                f"{target.table}.{target.outcome} is stated for as_of {window.as_of:%Y-%m-%d}, whose "
                f"{target.horizon_days} days are not over; leave it null until the window has closed"
            )
        if 0 < window.known < window.rows:
            raise SnapshotError(
                f"{target.table}.{target.outcome} is null in {window.rows - window.known} of {window.rows} rows of "
                f"as_of {window.as_of:%Y-%m-%d}; a closed window knows every outcome"
            )
    return windows


def newest_as_of(dataset: ds.Dataset) -> datetime | None:
    """The newest as-of time in the table; None when it has no rows."""
    newest: datetime | None = None
    for batch in dataset.to_batches(columns=["as_of"], batch_size=BATCH_ROWS):
        here = pc.max(batch.column("as_of")).as_py()
        if here is not None and (newest is None or _utc(here) > newest):
            newest = _utc(here)
    return newest


def load(
    dataset: ds.Dataset, target: Target, features: Features, as_ofs: Sequence[datetime], share: float = 1.0
) -> pd.DataFrame:
    """The rows of some as-of times in memory, keys and outcome (0 or 1) beside the features, in key order.

    `share` keeps that part of the customers, chosen by a hash of their id, so that training stays within bounds.
    """
    wanted = pc.field("as_of").isin(pa.array(list(as_ofs), dataset.schema.field("as_of").type))
    columns = [*target.keys, target.outcome, *(name for name in features.names if name not in target.keys)]
    parts = []
    for batch in dataset.to_batches(columns=columns, filter=wanted, batch_size=BATCH_ROWS):
        frame = to_frame(batch, target, features)
        frame[target.outcome] = np.asarray(pc.cast(batch.column(target.outcome), pa.int8()).to_numpy(False))
        if share < 1.0:
            hashed = pd.util.hash_array(frame["customer_id"].to_numpy(dtype=object), categorize=False)
            frame = frame[hashed / 2.0**64 < share]
        parts.append(frame)
    rows = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
    keys = list(target.keys)
    rows = rows.sort_values(keys, ignore_index=True, kind="stable")
    if rows.duplicated(keys).any():
        raise SnapshotError(f"{target.table} holds the same {', '.join(keys)} twice; its key test in dbt must pass")
    return rows


def batches(
    dataset: ds.Dataset, target: Target, features: Features, as_of: datetime, batch_rows: int = BATCH_ROWS
) -> Iterator[pd.DataFrame]:
    """The rows of one as-of time as frames of at most `batch_rows` in key order, one at a time in memory."""
    wanted = pc.field("as_of") == pa.scalar(as_of, dataset.schema.field("as_of").type)
    columns = [*target.keys, *(name for name in features.names if name not in target.keys)]
    # No read-ahead: the scanner would otherwise keep sixteen batches a file in flight.
    scanner = dataset.scanner(
        columns=columns, filter=wanted, batch_size=batch_rows, batch_readahead=1, fragment_readahead=1
    )
    for batch in scanner.to_batches():
        if batch.num_rows:
            yield to_frame(batch, target, features).sort_values(list(target.keys), ignore_index=True)


def to_frame(batch: pa.RecordBatch, target: Target, features: Features) -> pd.DataFrame:
    """A batch as scikit-learn takes it: numbers as float32 with null as missing, texts with null as the empty text.

    Raises `SnapshotError` for a missing key and for NaN or infinity, which no division in a mart should leave behind.
    """
    columns: dict[str, np.ndarray] = {}
    for key in target.keys:
        values = batch.column(key)
        if values.null_count:
            raise SnapshotError(f"{target.table}.{key} is null in {values.null_count} rows; it is part of the key")
        columns[key] = _texts(values) if key != "as_of" else values.to_numpy(zero_copy_only=False)
    for name in features.numeric:
        values = pc.cast(batch.column(name), pa.float64()) if not _is_boolean(batch, name) else batch.column(name)
        if pa.types.is_floating(values.type):
            broken = pc.sum(pc.invert(pc.is_finite(values))).as_py()
            if broken:
                raise SnapshotError(
                    f"{target.table}.{name} is NaN or infinite in {broken} rows; "
                    "divide by nullif(…, 0) in dbt_project/models/features"
                )
        columns[name] = pc.cast(values, pa.float32()).to_numpy(zero_copy_only=False)
    for name in features.text:
        columns[name] = _texts(batch.column(name))
    return pd.DataFrame(columns)


def fingerprint(frame: pd.DataFrame) -> str:
    """The content of a frame as a hash, the same for the same rows in whatever order they were read."""
    digest = hashlib.sha256()
    for name in frame.columns:
        column = frame[name]
        digest.update(f"{name}:{len(column)}".encode())
        digest.update(pd.util.hash_array(column.to_numpy(), categorize=True).tobytes())
    return digest.hexdigest()


def _utc(time: datetime) -> datetime:
    """UTC without zone, as DuckDB writes it; Spark marks the same instants as UTC."""
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


def _is_boolean(batch: pa.RecordBatch, name: str) -> bool:
    return pa.types.is_boolean(batch.schema.field(name).type)


def _texts(values: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(pc.cast(values, pa.string()), "").to_numpy(zero_copy_only=False), dtype=object)
