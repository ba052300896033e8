"""The plain rule every model has to beat: how long has the customer been silent?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from ml.declaration import Target
from ml.metrics import Metrics, measure

BUCKETS = 12


@dataclass(frozen=True)
class RecencyRule:
    """Observed rates by recency bucket (and category, where there is one), learned from past windows."""

    target: Target
    edges: np.ndarray
    rates: dict[tuple[str, int], float]
    overall: float

    @classmethod
    def fit(cls, frame: pd.DataFrame, target: Target) -> RecencyRule:
        known = frame[target.recency].dropna()
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BUCKETS + 1)[1:-1])) if len(known) else np.array([])
        buckets, groups = _buckets(frame, target, edges), _groups(frame, target)
        cells = pd.DataFrame({"group": groups, "bucket": buckets, "outcome": frame[target.outcome].to_numpy()})
        means = cells.groupby(["group", "bucket"], as_index=False)["outcome"].mean()
        rates = {
            (str(group), int(bucket)): float(rate)
            for group, bucket, rate in zip(means["group"], means["bucket"], means["outcome"], strict=True)
        }
        return cls(target, edges, rates, float(frame[target.outcome].mean()))

    def ranking(self, frame: pd.DataFrame) -> np.ndarray:
        """Rows in order of silence; someone who never ordered has been silent longest."""
        silence = frame[self.target.recency].to_numpy(dtype=float)
        longest = np.nanmax(silence) + 1 if np.isfinite(silence).any() else 1.0
        silence = np.where(np.isnan(silence), longest, silence)
        return silence if self.target.silence_raises else -silence

    def probability(self, frame: pd.DataFrame) -> np.ndarray:
        """The rate seen in the row's bucket."""
        buckets, groups = _buckets(frame, self.target, self.edges), _groups(frame, self.target)
        pairs = zip(groups, buckets, strict=True)
        return np.array([self.rates.get((str(group), int(bucket)), self.overall) for group, bucket in pairs])

    def best_ranking(self, frame: pd.DataFrame) -> np.ndarray:
        """Silence itself or the rate it stands for, whichever finds more: a rule is beaten only at its strongest.

        Over pooled categories the rate is stronger, since ten days without milk and without soup are not the same.
        """
        outcome = frame[self.target.outcome]
        readings = (self.ranking(frame), self.probability(frame))
        return max(readings, key=lambda reading: average_precision_score(outcome, reading))

    def measure(self, frame: pd.DataFrame) -> Metrics:
        return measure(frame[self.target.outcome].to_numpy(), self.best_ranking(frame), self.probability(frame))


def _buckets(frame: pd.DataFrame, target: Target, edges: np.ndarray) -> np.ndarray:
    silence = frame[target.recency].to_numpy(dtype=float)
    return np.where(np.isnan(silence), -1, np.searchsorted(edges, silence, side="right"))


def _groups(frame: pd.DataFrame, target: Target) -> np.ndarray:
    return frame[target.category].to_numpy(dtype=object) if target.category else np.full(len(frame), "", dtype=object)
