"""How good a ranking and how honest a probability is. Every function takes outcomes (0 or 1) and scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

BINS = 10


@dataclass(frozen=True)
class Metrics:
    """AUC and PR-AUC of the ranking, lift of its top tenth, and the expected calibration error of the probabilities."""

    auc: float
    pr_auc: float
    lift_top_tenth: float
    ece: float


def measure(outcome: np.ndarray, ranking: np.ndarray, probability: np.ndarray | None = None) -> Metrics:
    """All four at once; `probability` defaults to the ranking itself."""
    return Metrics(
        auc=float(roc_auc_score(outcome, ranking)),
        pr_auc=float(average_precision_score(outcome, ranking)),
        lift_top_tenth=lift_top_tenth(outcome, ranking),
        ece=expected_calibration_error(outcome, ranking if probability is None else probability),
    )


def lift_top_tenth(outcome: np.ndarray, ranking: np.ndarray) -> float:
    """How many times the base rate the best-ranked tenth holds; ties at its edge count with their own rate."""
    size = max(1, round(len(outcome) / 10))
    edge = np.sort(ranking)[-size]
    above, level = ranking > edge, ranking == edge
    found = outcome[above].sum() + (size - above.sum()) * outcome[level].mean()
    return float(found / size / outcome.mean())


def reliability(outcome: np.ndarray, probability: np.ndarray) -> list[dict[str, float]]:
    """The points of a reliability curve: ten bins of equal size, what was foretold and what happened in each."""
    order = np.argsort(probability, kind="stable")
    return [
        {
            "rows": len(rows),
            "predicted": float(probability[rows].mean()),
            "observed": float(outcome[rows].mean()),
        }
        for rows in np.array_split(order, min(BINS, len(order)))
        if len(rows)
    ]


def expected_calibration_error(outcome: np.ndarray, probability: np.ndarray) -> float:
    """The mean distance between foretold and observed rate over bins of equal size (Naeini et al., AAAI 2015)."""
    points = reliability(outcome, probability)
    total = sum(point["rows"] for point in points)
    return float(sum(point["rows"] * abs(point["predicted"] - point["observed"]) for point in points) / total)


def chance_calibration_error(probability: np.ndarray, seed: int = 7, draws: int = 100) -> float:
    """The calibration error that perfect probabilities would show by chance alone: its 95th percentile.

    With 200 customers a perfect model shows an error of several percent; a limit that ignores it is a coin toss.
    """
    generator = np.random.default_rng(seed)
    errors = [
        expected_calibration_error((generator.random(len(probability)) < probability).astype(np.int8), probability)
        for _ in range(draws)
    ]
    return float(np.quantile(errors, 0.95))


def population_stability(before: np.ndarray, after: np.ndarray) -> float:
    """PSI of two samples over the deciles of the first; missing values are a bin of their own.

    Above 0.25 is usually called a major shift (Siddiqi, Credit Risk Scorecards, 2006).
    """
    known = before[~np.isnan(before)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.array([])

    def shares(sample: np.ndarray) -> np.ndarray:
        bins = np.where(np.isnan(sample), len(edges) + 1, np.searchsorted(edges, sample, side="right"))
        counts = np.bincount(bins.astype(int), minlength=len(edges) + 2)
        return (counts + 0.5) / (counts.sum() + 0.5 * len(counts))

    expected, found = shares(before), shares(after)
    return float(np.sum((found - expected) * np.log(found / expected)))


def pr_auc_gain(
    outcome: np.ndarray,
    ranking: np.ndarray,
    other: np.ndarray,
    customers: np.ndarray,
    seed: int = 7,
    draws: int = 200,
) -> dict[str, float]:
    """How much more PR-AUC one ranking has than another, with a 95 % interval over resampled customers.

    Customers, not rows, are drawn (Poisson bootstrap): the ten category rows of one person stand or fall together.
    """
    generator = np.random.default_rng(seed)
    _, person = np.unique(customers, return_inverse=True)
    first, second = _Ranked(outcome, ranking), _Ranked(outcome, other)
    gains = []
    for _ in range(draws):
        weights = generator.poisson(1.0, person.max() + 1)[person].astype(float)
        gains.append(first.average_precision(weights) - second.average_precision(weights))
    ones = np.ones(len(outcome))
    return {
        "gain": float(first.average_precision(ones) - second.average_precision(ones)),
        "low": float(np.quantile(gains, 0.025)),
        "high": float(np.quantile(gains, 0.975)),
        "share_better": float(np.mean(np.array(gains) > 0)),
    }


class _Ranked:
    """A ranking sorted once, so that average precision under many weightings costs two cumulative sums each."""

    def __init__(self, outcome: np.ndarray, ranking: np.ndarray) -> None:
        self.order = np.argsort(-ranking, kind="stable")
        ordered = ranking[self.order]
        self.last_of_tie = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
        self.outcome = outcome[self.order]

    def average_precision(self, weights: np.ndarray) -> float:
        weights = weights[self.order]
        found = np.cumsum(weights * self.outcome)[self.last_of_tie]
        seen = np.cumsum(weights)[self.last_of_tie]
        precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
        return float(np.sum(np.diff(found, prepend=0.0) * precision) / found[-1]) if found[-1] else 0.0
