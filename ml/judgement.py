"""The conditions of promotion: better than the rule and than the model in use, calibrated, without leak or drift."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from ml.card import Check
from ml.declaration import Features, Target
from ml.metrics import BINS, Metrics, chance_calibration_error, population_stability

CALIBRATION_LIMIT = 0.05
SINGLE_FEATURE_LIMIT = 0.999
SHIFT_LIMIT = 0.25
DRIFT_LIMIT = 0.25


def beats_rule(model: Metrics, rule: Metrics) -> Check:
    return Check(
        "beats_recency_rule",
        model.pr_auc > rule.pr_auc,
        model.pr_auc,
        rule.pr_auc,
        "PR-AUC above that of ranking by days since the last order",
    )


def matches_model_in_use(model: Metrics, in_use: Metrics) -> Check:
    return Check(
        "matches_model_in_use",
        model.pr_auc >= in_use.pr_auc,
        model.pr_auc,
        in_use.pr_auc,
        "PR-AUC no lower than that of the model in use on the same window",
    )


def is_calibrated(model: Metrics, probability: np.ndarray) -> Check:
    limit = CALIBRATION_LIMIT + chance_calibration_error(probability)
    return Check(
        "is_calibrated",
        model.ece <= limit,
        model.ece,
        limit,
        f"calibration error at most {CALIBRATION_LIMIT} beyond what chance alone shows in so many rows",
    )


def no_feature_tells_the_outcome(aucs: dict[str, float]) -> Check:
    name, worst = max(aucs.items(), key=lambda item: item[1], default=("", 0.5))
    return Check(
        "no_feature_tells_the_outcome",
        worst <= SINGLE_FEATURE_LIMIT,
        worst,
        SINGLE_FEATURE_LIMIT,
        f"no single feature all but equals the outcome (highest: {name})",
    )


def survives_shift(outcome: np.ndarray, now: np.ndarray, earlier: np.ndarray) -> Check:
    """Customers scored from an earlier window's features must still be ranked nearly as well.

    Habits age slowly; a feature that has seen the outcome works on its own window alone, and the ranking collapses.
    """
    if len(np.unique(outcome)) < 2:
        return Check("survives_shift", True, 0.0, SHIFT_LIMIT, "no customer of both windows to compare")
    drop = float(roc_auc_score(outcome, now) - roc_auc_score(outcome, earlier))
    return Check(
        "survives_shift", drop <= SHIFT_LIMIT, drop, SHIFT_LIMIT, "AUC lost when the features are one window older"
    )


def has_not_drifted(before: np.ndarray, after: np.ndarray) -> tuple[Check, float]:
    psi = population_stability(before, after)
    # Twice what two samples of one population differ by on average (Yurdakul, 2018): small shops are noisy.
    chance = 2 * (BINS - 1) * (1 / max(len(before), 1) + 1 / max(len(after), 1))
    limit = DRIFT_LIMIT + chance
    return (
        Check("has_not_drifted", psi <= limit, psi, limit, "PSI of today's scores against the evaluation window"),
        psi,
    )


def feature_aucs(frame: pd.DataFrame, target: Target, features: Features) -> dict[str, float]:
    """How well each feature alone ranks the outcome, from 0.5 (not at all) to 1 (it is the outcome), best first."""
    outcome = frame[target.outcome].to_numpy()
    aucs = {}
    for name in features.names:
        if name in features.text:
            column = frame[name].map(frame[target.outcome].groupby(frame[name]).mean()).to_numpy(dtype=float)
        else:
            column = frame[name].to_numpy(dtype=float)
        known = column[~np.isnan(column)]
        lowest = known.min() - 1 if len(known) else 0.0
        auc = float(roc_auc_score(outcome, np.where(np.isnan(column), lowest, column)))
        aucs[name] = max(auc, 1 - auc)
    return dict(sorted(aucs.items(), key=lambda item: (-item[1], item[0])))


def feature_psi(before: pd.DataFrame, after: pd.DataFrame, features: Features) -> dict[str, float]:
    """PSI of each number between training and today, most moved first."""
    psi = {name: population_stability(_floats(before[name]), _floats(after[name])) for name in features.numeric}
    return dict(sorted(psi.items(), key=lambda item: (-item[1], item[0])))


def _floats(column: pd.Series) -> np.ndarray:
    return column.to_numpy(dtype=float)
