"""The model card: what was learned from which days, how good it is, and why it is in use or not. Plain JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ml.metrics import Metrics


@dataclass(frozen=True)
class Check:
    """One condition of promotion: what was measured, its limit, and what it means."""

    name: str
    passed: bool
    value: float
    limit: float
    meaning: str


@dataclass(frozen=True)
class TargetCard:
    """One outcome of a model, measured on the newest closed window, which no measured fit has seen.

    `metrics` and `recency_rule` are measured on the same rows; `gain` is the difference in PR-AUC with its interval.
    `windows` names the as-of dates of every role; `in_use_learns_from` holds the days of the fit that goes into use.
    """

    table: str
    outcome: str
    horizon_days: int
    features: list[str]
    windows: dict[str, Any]
    rows: dict[str, int]
    positives: dict[str, int]
    sampled_share: float
    metrics: Metrics
    recency_rule: Metrics
    gain: dict[str, float]
    model_in_use: Metrics | None
    checks: list[Check]
    score_psi: float
    feature_psi: dict[str, float]
    feature_auc: dict[str, float]
    reliability: list[dict[str, float]]
    by_category: dict[str, dict[str, float]]


@dataclass(frozen=True)
class ModelCard:
    """The verdict on one version of a model.

    `trained_at` is the as-of time of the newest snapshot (None: there was none). `in_use` is the version that scores
    after this verdict, `in_use_passes` whether it beats the recency rule on the newest closed window; audiences that
    need this model are pushed only if it does. `compared_with` is the version that was in use before.
    """

    model: str
    version: str
    trained_at: str | None
    promoted: bool
    reason: str
    in_use: str | None
    in_use_passes: bool
    compared_with: str | None
    targets: dict[str, TargetCard] = field(default_factory=dict)

    @property
    def headline(self) -> TargetCard | None:
        """The first target, which stands for the model where one row must do; None when nothing could be measured."""
        return next(iter(self.targets.values()), None)

    def to_json(self) -> dict[str, Any]:
        """The card as JSON, with the headline's metrics, rule and window at the top."""
        headline = self.headline
        top: dict[str, Any] = {
            "metrics": asdict(headline.metrics) if headline else None,
            "recency_rule": asdict(headline.recency_rule) if headline else None,
            "window": headline.windows["evaluation"] if headline else None,
            "rows": sum(headline.rows.values()) if headline else 0,
        }
        content = asdict(self)
        targets = content.pop("targets")
        return _rounded({**content, **top, "targets": targets})

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        own = {name: content[name] for name in cls.__dataclass_fields__ if name != "targets"}
        return cls(**own, targets={name: _target(card) for name, card in content["targets"].items()})


def _target(content: dict[str, Any]) -> TargetCard:
    in_use = content["model_in_use"]
    return TargetCard(
        **{
            **content,
            "metrics": Metrics(**content["metrics"]),
            "recency_rule": Metrics(**content["recency_rule"]),
            "model_in_use": Metrics(**in_use) if in_use else None,
            "checks": [Check(**check) for check in content["checks"]],
        }
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
