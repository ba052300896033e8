"""Clusters of customers who shop alike, with names that say what stands out: "frequent, small baskets, weekends".

Fitted on one snapshot and kept for a quarter, so that a customer changes cluster because their habits have changed and
not because the clusters were drawn anew; scaling is part of what is kept.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ml.snapshots import BATCH_ROWS, SnapshotError, newest_as_of, open_snapshots
from ml.store import ModelStore

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

NAME = "behaviour_clusters"
TABLE = "customer_snapshots"
SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string()),
        pa.field("as_of", pa.timestamp("us")),
        pa.field("cluster_name", pa.string()),
        pa.field("model_version", pa.string()),
        pa.field("scored_at", pa.timestamp("us")),
    ]
)
# Fewer orders show no habit.
MINIMUM_ORDERS = 3
MINIMUM_CUSTOMERS = 40
MAXIMUM_TRAINING_ROWS = 100_000
CLUSTER_COUNTS = range(4, 9)
# Every pair of these is measured.
SILHOUETTE_ROWS = 2000
REFIT_AFTER = timedelta(days=90)
SEED = 7
# How far a cluster's mean must stand from everybody's, in standard deviations, to be worth a word.
STANDS_OUT = 0.5


@dataclass(frozen=True)
class Habit:
    """A feature of the snapshots, whether it is counted in orders of magnitude, and the words for little and much."""

    column: str
    is_logarithmic: bool
    low: str
    high: str


HABITS = (
    Habit("mean_gap_days", True, "frequent", "occasional"),
    Habit("mean_basket_items", True, "small baskets", "large baskets"),
    Habit("weekend_order_rate", False, "weekdays", "weekends"),
    Habit("evening_order_rate", False, "daytime", "evenings"),
    Habit("discount_rate", False, "full price", "bargains"),
    Habit("category_count", True, "few categories", "many categories"),
    Habit("sessions_30d", True, "rarely online", "often online"),
)
COLUMNS = [habit.column for habit in HABITS]


@dataclass(frozen=True)
class Cluster:
    """One cluster as the card tells it; `medians` are in the units of the snapshots."""

    name: str
    share: float
    medians: dict[str, float]


@dataclass(frozen=True)
class ClusterCard:
    """What was fitted: on which snapshot, how many clusters and why, and what they are."""

    version: str
    fitted_at: str | None
    rows: int
    silhouettes: dict[str, float]
    clusters: list[Cluster]
    in_use: str | None
    compared_with: str | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {"model": NAME, **asdict(self)}


@dataclass(frozen=True)
class FittedClusters:
    """The pipeline (scaling and k-means) with the clusters' names in the order of their labels."""

    pipeline: Pipeline
    names: tuple[str, ...]
    fitted_at: datetime
    code: str
    card: ClusterCard


def cluster(snapshots_path: str, models_dir: str, out_path: str) -> ClusterCard:
    """Write the cluster of every customer of the newest snapshot who has ordered enough, in bounded memory.

    Fits when nothing has been fitted, the fit is a quarter old, it is from a later time than the snapshot or this code
    has changed. Too few customers is no error: the file has no rows and the card says why.
    """
    dataset = open_snapshots(snapshots_path)
    missing = sorted({"customer_id", "as_of", "order_count", *COLUMNS} - set(dataset.schema.names))
    if missing:
        raise SnapshotError(f"{TABLE} lacks {', '.join(missing)}, which ml/behaviour.py clusters by")
    as_of = newest_as_of(dataset)
    store = ModelStore(models_dir, NAME)
    version = store.version_in_use()
    stored = store.load(version)["clusters"] if version else None
    if as_of is None:
        return _nobody(out_path, version, "there is no snapshot", 0)
    if stored is None or stored.code != _code() or not timedelta(0) <= as_of - stored.fitted_at < REFIT_AFTER:
        frame = _read(dataset, as_of)
        if len(frame) < MINIMUM_CUSTOMERS:
            reason = f"{len(frame)} customers with {MINIMUM_ORDERS} orders; {MINIMUM_CUSTOMERS} are needed"
            return _nobody(out_path, version, reason, len(frame))
        stored = _fit(frame, as_of, version)
        store.promote(stored.card, {"clusters": stored})
        store.tidy(stored.card)
    with pq.ParquetWriter(out_path, SCHEMA, compression="zstd") as writer:
        for batch in _scanner(dataset, as_of).to_batches():
            frame = _habits(batch)
            if len(frame):
                writer.write_table(_table(frame, stored, as_of))
    return stored.card


def empty_clusters(path: str) -> None:
    """Write the schema of the clusters with no rows."""
    pq.write_table(SCHEMA.empty_table(), path)


def name_clusters(centres: np.ndarray) -> tuple[str, ...]:
    """A name a cluster from its centre in standard deviations, one row a cluster; no two are the same.

    The three habits that stand out most, in the order of `HABITS`; where two clusters would share a name, habits are
    added in the order of how far they stand out, until the names differ.
    """
    ranked = [np.argsort(-np.abs(centre), kind="stable") for centre in centres]
    counts = [int(np.sum(np.abs(centre) >= STANDS_OUT)) for centre in centres]
    chosen = [set(order[: min(count, 3)].tolist()) for order, count in zip(ranked, counts, strict=True)]
    for one, other in combinations(range(len(centres)), 2):
        for place in range(len(HABITS)):
            if _words(centres[one], chosen[one]) != _words(centres[other], chosen[other]):
                break
            chosen[one].add(int(ranked[one][place]))
            chosen[other].add(int(ranked[other][place]))
    names = [_words(centre, habits) for centre, habits in zip(centres, chosen, strict=True)]
    return tuple(
        name if names.count(name) == 1 else f"{name} ({names[:place].count(name) + 1})"
        for place, name in enumerate(names)
    )


def _words(centre: np.ndarray, habits: set[int]) -> str:
    words = [HABITS[habit].high if centre[habit] > 0 else HABITS[habit].low for habit in sorted(habits)]
    return ", ".join(words) or "in between"


def _fit(frame: pd.DataFrame, as_of: datetime, previous: str | None) -> FittedClusters:
    from sklearn.cluster import KMeans
    from sklearn.impute import SimpleImputer
    from sklearn.metrics import silhouette_score
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler
    from threadpoolctl import threadpool_limits

    if len(frame) > MAXIMUM_TRAINING_ROWS:
        frame = frame.sample(MAXIMUM_TRAINING_ROWS, random_state=SEED)
    prepare = [
        ("fill", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("magnitude", FunctionTransformer(to_magnitudes)),
        ("scale", StandardScaler()),
    ]
    habits = frame[COLUMNS].to_numpy()
    # three deviations are far enough: one customer with a hundred visits must not become a cluster
    scaled = Pipeline(prepare).fit_transform(habits).clip(-3, 3)
    # threads that wait for each other on a shared machine cost more than they bring on so few rows
    with threadpool_limits(1):
        fits = {count: KMeans(count, n_init=4, random_state=SEED).fit(scaled) for count in CLUSTER_COUNTS}
    silhouettes = {
        count: float(
            silhouette_score(scaled, fit.labels_, sample_size=min(len(scaled), SILHOUETTE_ROWS), random_state=SEED)
        )
        for count, fit in fits.items()
        if len(set(fit.labels_)) > 1
    }
    best = max(silhouettes, key=lambda count: (round(silhouettes[count], 6), -count))
    clip = ("clip", FunctionTransformer(clip_outliers))
    pipeline = Pipeline([*prepare, clip, ("cluster", fits[best])])
    pipeline.named_steps["fill"].fit(habits)
    names = name_clusters(fits[best].cluster_centers_)
    labels = fits[best].labels_
    typical = pd.DataFrame(habits, columns=COLUMNS).groupby(labels).median()
    clusters = [
        Cluster(name, round(float(np.mean(labels == label)), 4), _rounded(typical.iloc[label]))
        for label, name in enumerate(names)
    ]
    digest = hashlib.sha256(_code().encode() + habits.tobytes() + as_of.isoformat().encode())
    version = digest.hexdigest()[:12]
    card = ClusterCard(
        version=version,
        fitted_at=as_of.isoformat(),
        rows=len(frame),
        silhouettes={str(count): round(value, 4) for count, value in silhouettes.items()},
        clusters=clusters,
        in_use=version,
        compared_with=previous,
        reason=f"{best} clusters have the best silhouette",
    )
    return FittedClusters(pipeline, names, as_of, _code(), card)


def to_magnitudes(habits: np.ndarray) -> np.ndarray:
    """The logarithm (of one more) of the columns that are counted in orders of magnitude."""
    logarithmic = np.array([habit.is_logarithmic for habit in HABITS])
    return np.where(logarithmic, np.log1p(np.where(logarithmic, np.maximum(habits, 0), 0)), habits)


def clip_outliers(scaled: np.ndarray) -> np.ndarray:
    """At most three standard deviations from the mean."""
    return scaled.clip(-3, 3)


def _scanner(dataset: ds.Dataset, as_of: datetime) -> ds.Scanner:
    wanted = pc.field("as_of") == pa.scalar(as_of, dataset.schema.field("as_of").type)
    enough = pc.field("order_count") >= MINIMUM_ORDERS
    return dataset.scanner(
        columns=["customer_id", *COLUMNS],
        filter=wanted & enough,
        batch_size=BATCH_ROWS,
        batch_readahead=1,
        fragment_readahead=1,
    )


def _habits(batch: pa.RecordBatch) -> pd.DataFrame:
    frame = batch.to_pandas()
    frame[COLUMNS] = frame[COLUMNS].astype("float64")
    return frame.sort_values("customer_id", ignore_index=True)


def _read(dataset: ds.Dataset, as_of: datetime) -> pd.DataFrame:
    parts = [_habits(batch) for batch in _scanner(dataset, as_of).to_batches() if batch.num_rows]
    if not parts:
        return pd.DataFrame(columns=["customer_id", *COLUMNS])
    return pd.concat(parts).sort_values("customer_id", ignore_index=True)


def _table(frame: pd.DataFrame, fitted: FittedClusters, as_of: datetime) -> pa.Table:
    labels = fitted.pipeline.predict(frame[COLUMNS].to_numpy())
    size = len(frame)
    columns = {
        "customer_id": frame["customer_id"].tolist(),
        "as_of": [as_of] * size,
        "cluster_name": [fitted.names[label] for label in labels],
        "model_version": [fitted.card.version] * size,
        "scored_at": [as_of] * size,
    }
    return pa.table({name: pa.array(columns[name], SCHEMA.field(name).type) for name in SCHEMA.names}, schema=SCHEMA)


def _nobody(out_path: str, version: str | None, reason: str, rows: int) -> ClusterCard:
    empty_clusters(out_path)
    return ClusterCard("none", None, rows, {}, [], version, version, reason)


def _rounded(row: pd.Series) -> dict[str, float]:
    return {str(name): round(float(value), 4) for name, value in row.items() if np.isfinite(value)}


def _code() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
