"""Scores as probabilities: a pipeline and the curve that a later window taught it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from ml.declaration import Features


@dataclass(frozen=True)
class Sigmoid:
    """Platt's sigmoid over the log-odds (Platt, 1999): strictly rising, so that it changes no ranking.

    Isotonic regression was as well calibrated on the demo shop, but its steps tie customers and cost PR-AUC.
    """

    slope: float
    intercept: float

    @classmethod
    def fit(cls, raw: np.ndarray, outcome: np.ndarray) -> Sigmoid:
        curve = LogisticRegression(C=1e6).fit(log_odds(raw).reshape(-1, 1), outcome)
        return cls(float(curve.coef_[0, 0]), float(curve.intercept_[0]))

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-(self.slope * log_odds(raw) + self.intercept)))


@dataclass(frozen=True)
class Calibrated:
    """A fitted pipeline with its curve."""

    pipeline: Pipeline
    sigmoid: Sigmoid
    features: Features

    def probability(self, frame: pd.DataFrame) -> np.ndarray:
        return self.sigmoid(raw_scores(self.pipeline, frame, self.features))


def fit(pipeline: Pipeline, frame: pd.DataFrame, features: Features, outcome: str) -> Pipeline:
    """The pipeline fitted on a frame.

    Forests add up their trees in whatever order threads finish; one thread in prediction keeps scores the same to the
    last bit.
    """
    with _one_openmp_thread():
        pipeline.fit(frame[list(features.names)], frame[outcome])
    classifier = pipeline[-1]
    if "n_jobs" in classifier.get_params():
        classifier.set_params(n_jobs=1)
    return pipeline


def raw_scores(pipeline: Pipeline, frame: pd.DataFrame, features: Features) -> np.ndarray:
    """What the pipeline says before calibration."""
    with _one_openmp_thread():
        return np.asarray(pipeline.predict_proba(frame[list(features.names)])[:, 1])


def log_odds(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability, 1e-4, 1 - 1e-4)
    return np.log(clipped / (1 - clipped))


def _one_openmp_thread() -> threadpool_limits:
    """Boosting's threads spin while they wait: on two busy cores two of them took 38 s where one took 4.5 s."""
    return threadpool_limits(limits=1, user_api="openmp")
