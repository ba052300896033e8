"""Scores for every customer: models over the snapshot tables, files in and files out.

A model is declared in one small file (`churn.py`, `propensity.py`) and listed in `MODELS`; reading, splitting by time,
calibrating, judging, storing and scoring are written once around it.

    card = ml.train("churn", {"customer_snapshots": path}, models_dir)           # trains, judges, perhaps promotes
    result = ml.score("churn", {"customer_snapshots": path}, models_dir, out)    # Parquet to Parquet, in batches
    ml.empty_scores("churn", path)                                               # the schema alone
    ml.card_in_use("churn", models_dir)                                          # the model that scores now, or None
    ml.cluster(path, models_dir, out)                                            # clusters of alike customers, named

Paths are files or folders of Parquet, local or any fsspec URL; `out` is a local file that the caller publishes. Nothing
here asks the machine for the time: every time is an as-of time of the snapshots. Scikit-learn is imported when a model
is trained or scores: whoever only wants to know which models there are does not wait for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ml.declaration import Model, Target
from ml.models import MODELS

if TYPE_CHECKING:
    from ml.behaviour import ClusterCard, cluster, empty_clusters
    from ml.card import ModelCard
    from ml.scoring import Scored, empty_scores, score
    from ml.snapshots import SnapshotError
    from ml.store import StoreError, card_in_use
    from ml.training import train

__all__ = [
    "MODELS",
    "ClusterCard",
    "Model",
    "ModelCard",
    "Scored",
    "SnapshotError",
    "StoreError",
    "Target",
    "card_in_use",
    "cluster",
    "empty_clusters",
    "empty_scores",
    "score",
    "train",
]

_HOMES = {
    "ClusterCard": "behaviour",
    "ModelCard": "card",
    "Scored": "scoring",
    "SnapshotError": "snapshots",
    "StoreError": "store",
    "card_in_use": "store",
    "cluster": "behaviour",
    "empty_clusters": "behaviour",
    "empty_scores": "scoring",
    "score": "scoring",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
