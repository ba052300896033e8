"""Training: windows split by time, a fit judged on the newest closed one, and promotion only where it has earned it.

Three fits a target, each one window newer than the last. The first learns from the training windows and is calibrated
on the window after them. The second learns up to and including that window, keeps the curve, and is **judged** on the
newest closed window. The third learns from every closed window, is calibrated on the judged fit's errors there, and is
**deployed**: the figures on the card are those of the second, which never saw the window it was measured on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import sklearn
from sklearn.metrics import average_precision_score

from ml import judgement
from ml.calibration import Calibrated, Sigmoid, fit, raw_scores
from ml.card import Check, ModelCard, TargetCard
from ml.declaration import Features, Model, Target
from ml.metrics import measure, pr_auc_gain, reliability
from ml.models import find
from ml.recency import RecencyRule
from ml.snapshots import features_of, fingerprint, load, open_snapshots, windows_of
from ml.store import Fitted, ModelStore
from ml.windows import Split, TooLittleHistory, Window, split

MINIMUM_OF_EACH = 10


@dataclass(frozen=True)
class _Lesson:
    """What one target learns from, read and checked."""

    target: Target
    dataset: ds.Dataset
    features: Features
    split: Split
    frame: pd.DataFrame
    share: float
    newest: datetime

    def rows(self, as_ofs: tuple[datetime, ...]) -> pd.DataFrame:
        return self.frame[self.frame["as_of"].isin(as_ofs)]


@dataclass(frozen=True)
class _Judged:
    """A fit with its scores on the evaluation window, before calibration, and what was measured there."""

    fit: Calibrated
    raw: np.ndarray
    card: TargetCard


def train(model: Model | str, snapshots: Mapping[str, str], models_dir: str) -> ModelCard:
    """Train, judge and, if it has earned it, promote; the same snapshots give the same version and train once.

    `snapshots` maps each mart of `model.snapshots` to its path. Too little history is no error: the card says what is
    missing and the model in use stays. Raises `SnapshotError` for snapshots that break their promises.
    """
    declared = find(model)
    store = ModelStore(models_dir, declared.name)
    in_use = store.version_in_use()
    digest = hashlib.sha256(f"{declared.name} {_code()} {sklearn.__version__} {np.__version__}".encode())
    lessons: list[_Lesson] = []
    missing: list[str] = []
    newest: datetime | None = None
    for target in declared.targets:
        dataset = open_snapshots(snapshots[target.table])
        features = features_of(dataset, target)
        windows = windows_of(dataset, target)
        newest = windows[-1].as_of if windows else newest
        try:
            lesson = _lesson(declared, target, dataset, features, windows)
        except TooLittleHistory as shortage:
            missing.append(f"{target.name}: {shortage}")
            digest.update(f"{target.name} {shortage}".encode())
        else:
            lessons.append(lesson)
            digest.update(f"{target.name} {features} {fingerprint(lesson.frame)}".encode())
    version = digest.hexdigest()[:12]
    known = store.card(version)
    if known and (in_use == version or known.compared_with == in_use) and known.in_use == in_use:
        store.tidy(known)
        return known
    trained_at = newest.isoformat() if newest else None
    if missing:
        card = ModelCard(declared.name, version, trained_at, False, "; ".join(missing), in_use, False, in_use)
        store.save_card(card)
    else:
        card = _judge(declared, store, lessons, version, trained_at, in_use)
    store.tidy(card)
    return card


def _lesson(model: Model, target: Target, dataset: ds.Dataset, features: Features, windows: list[Window]) -> _Lesson:
    roles = split(windows, target.horizon_days, model.training_windows)
    counted = {window.as_of: window for window in windows}
    for role, as_ofs in (
        ("training", roles.training),
        ("calibration", (roles.calibration,)),
        ("evaluation", (roles.evaluation,)),
    ):
        rows = sum(counted[as_of].rows for as_of in as_ofs)
        positives = sum(counted[as_of].positives for as_of in as_ofs)
        if min(positives, rows - positives) < MINIMUM_OF_EACH:
            raise TooLittleHistory(
                f"{target.outcome} is true in {positives} of {rows} {role} rows; "
                f"at least {MINIMUM_OF_EACH} true and {MINIMUM_OF_EACH} false ones are needed"
            )
    total = sum(counted[as_of].rows for as_of in roles.all)
    share = min(1.0, model.maximum_training_rows / total)
    frame = load(dataset, target, features, roles.all, share)
    return _Lesson(target, dataset, features, roles, frame, share, windows[-1].as_of)


def _judge(
    model: Model, store: ModelStore, lessons: list[_Lesson], version: str, trained_at: str | None, in_use: str | None
) -> ModelCard:
    current, obstacle = _comparable(store, in_use, lessons)
    judged: dict[str, _Judged] = {}
    for lesson in lessons:
        judged[lesson.target.name] = _fit_and_measure(lesson, current.get(lesson.target.name))
    cards = {name: fit_and_card.card for name, fit_and_card in judged.items()}
    failed = [f"{name}: {_failure(check)}" for name, card in cards.items() for check in card.checks if not check.passed]
    promoted = not failed
    if promoted:
        reason = "beats the recency rule" + (f" and the model in use, {in_use}" if current else "") + obstacle
    else:
        reason = "; ".join(failed) + obstacle
    in_use_passes = promoted or (
        bool(current)
        and all(
            card.model_in_use is not None and card.model_in_use.pr_auc > card.recency_rule.pr_auc
            for card in cards.values()
        )
    )
    card = ModelCard(
        model=model.name,
        version=version,
        trained_at=trained_at,
        promoted=promoted,
        reason=reason,
        in_use=version if promoted else in_use,
        in_use_passes=in_use_passes,
        compared_with=in_use,
        targets=cards,
    )
    if promoted:
        store.promote(card, {lesson.target.name: _deploy(lesson, judged[lesson.target.name]) for lesson in lessons})
    else:
        store.save_card(card)
    return card


def _comparable(store: ModelStore, in_use: str | None, lessons: list[_Lesson]) -> tuple[dict[str, Calibrated], str]:
    """The fits of the model in use that may be judged on today's evaluation window, and why there are none, if so.

    The deployed fit may have learned from the very window it would be judged on; then the judged one stands in, which
    has not.
    """
    if in_use is None:
        return {}, ""
    fits: dict[str, Calibrated] = {}
    stored = store.load(in_use)
    for lesson in lessons:
        name, evaluation = lesson.target.name, lesson.split.evaluation
        if name not in stored:
            return {}, f" (the model in use, {in_use}, does not know {name})"
        candidate = stored[name]
        if candidate.deployed_until <= evaluation:
            fits[name] = candidate.deployed
        elif candidate.judged_until <= evaluation:
            fits[name] = candidate.judged
        else:
            return {}, f" (the model in use, {in_use}, knows outcomes from after {evaluation:%Y-%m-%d})"
        gone = sorted(set(fits[name].features.names) - set(lesson.features.names))
        if gone:
            return {}, f" (the model in use, {in_use}, needs columns that are gone: {', '.join(gone)})"
    return fits, ""


def _fit_and_measure(lesson: _Lesson, in_use: Calibrated | None) -> _Judged:
    target, features, roles = lesson.target, lesson.features, lesson.split
    training, calibration = lesson.rows(roles.training), lesson.rows((roles.calibration,))
    known, evaluation = lesson.rows(roles.known_before), lesson.rows((roles.evaluation,))
    outcome = evaluation[target.outcome].to_numpy()

    first = fit(target.estimator(features), training, features, target.outcome)
    early = raw_scores(first, calibration, features)
    judged = Calibrated(
        fit(target.estimator(features), known, features, target.outcome),
        Sigmoid.fit(early, calibration[target.outcome].to_numpy()),
        features,
    )
    raw = raw_scores(judged.pipeline, evaluation, features)
    probability = judged.sigmoid(raw)

    rule = RecencyRule.fit(known, target)
    rule_ranking = rule.best_ranking(evaluation)
    metrics, rule_metrics = measure(outcome, probability), rule.measure(evaluation)
    in_use_metrics = measure(outcome, in_use.probability(evaluation)) if in_use else None
    today = load(lesson.dataset, target, features, [lesson.newest], lesson.share)
    aucs = judgement.feature_aucs(evaluation, target, features)
    drift, score_psi = judgement.has_not_drifted(probability, judged.probability(today))
    checks = [
        judgement.beats_rule(metrics, rule_metrics),
        *([judgement.matches_model_in_use(metrics, in_use_metrics)] if in_use_metrics else []),
        judgement.is_calibrated(metrics, probability),
        judgement.no_feature_tells_the_outcome(aucs),
        _shift_check(target, calibration, early, evaluation, raw),
        drift,
    ]
    by_role = {"training": training, "calibration": calibration, "evaluation": evaluation}
    card = TargetCard(
        table=target.table,
        outcome=target.outcome,
        horizon_days=target.horizon_days,
        features=list(features.names),
        windows={
            "training": _dates(roles.training),
            "calibration": f"{roles.calibration:%Y-%m-%d}",
            "judged_fit_learns_from": _dates(roles.known_before),
            "evaluation": f"{roles.evaluation:%Y-%m-%d}",
            "in_use_learns_from": _dates(roles.closed),
        },
        rows={role: len(rows) for role, rows in by_role.items()},
        positives={role: int(rows[target.outcome].sum()) for role, rows in by_role.items()},
        sampled_share=lesson.share,
        metrics=metrics,
        recency_rule=rule_metrics,
        gain=pr_auc_gain(outcome, probability, rule_ranking, evaluation["customer_id"].to_numpy()),
        model_in_use=in_use_metrics,
        checks=checks,
        score_psi=score_psi,
        feature_psi=_first(judgement.feature_psi(known, today, features), 10),
        feature_auc=_first(aucs, 10),
        reliability=reliability(outcome, probability),
        by_category=_by_category(target, evaluation, probability, rule_ranking),
    )
    return _Judged(judged, raw, card)


def _deploy(lesson: _Lesson, judged: _Judged) -> Fitted:
    """The fit that goes into use: every closed window learned from, the curve drawn from the judged fit's errors."""
    target, features, roles = lesson.target, lesson.features, lesson.split
    horizon = timedelta(days=target.horizon_days)
    closed, evaluation = lesson.rows(roles.closed), lesson.rows((roles.evaluation,))
    return Fitted(
        judged=judged.fit,
        judged_until=max(roles.known_before) + horizon,
        deployed=Calibrated(
            fit(target.estimator(features), closed, features, target.outcome),
            Sigmoid.fit(judged.raw, evaluation[target.outcome].to_numpy()),
            features,
        ),
        deployed_until=max(roles.closed) + horizon,
        texts={name: frozenset(closed[name]) for name in features.text},
    )


def _shift_check(
    target: Target, calibration: pd.DataFrame, early: np.ndarray, evaluation: pd.DataFrame, raw: np.ndarray
) -> Check:
    keys = [key for key in target.keys if key != "as_of"]
    now = evaluation[[*keys, target.outcome]].assign(now=raw)
    both = now.merge(calibration[keys].assign(earlier=early), on=keys)
    return judgement.survives_shift(both[target.outcome].to_numpy(), both["now"].to_numpy(), both["earlier"].to_numpy())


def _by_category(
    target: Target, evaluation: pd.DataFrame, probability: np.ndarray, rule_ranking: np.ndarray
) -> dict[str, dict[str, float]]:
    if target.category is None:
        return {}
    measured = {}
    for category in sorted(evaluation[target.category].unique()):
        here = (evaluation[target.category] == category).to_numpy()
        outcome = evaluation[target.outcome].to_numpy()[here]
        if 0 < outcome.sum() < len(outcome):
            measured[str(category)] = {
                "positive_rate": float(outcome.mean()),
                "pr_auc": float(average_precision_score(outcome, probability[here])),
                "rule_pr_auc": float(average_precision_score(outcome, rule_ranking[here])),
            }
    return measured


def _failure(check: Check) -> str:
    return f"{check.name} failed ({check.value:.4f}, limit {check.limit:.4f}; {check.meaning})"


def _dates(as_ofs: tuple[datetime, ...]) -> list[str]:
    return [f"{as_of:%Y-%m-%d}" for as_of in as_ofs]


def _first(values: dict[str, float], count: int) -> dict[str, float]:
    return dict(list(values.items())[:count])


def _code() -> str:
    """The code of this package as a hash: other code is another model."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
