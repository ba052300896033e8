"""What a model is made of: which snapshots it learns from, what it foretells, and what its scores are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


@dataclass(frozen=True)
class Features:
    """The columns a model looks at, found in the snapshot's schema and never listed by hand."""

    numeric: tuple[str, ...]
    text: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return self.numeric + self.text


@dataclass(frozen=True)
class Target:
    """One outcome over one snapshot table, with the plain rule it has to beat.

    `recency` is the column the rule ranks by; `silence_raises` says whether a longer silence makes the outcome more
    likely. `category` is the key column that tells the rows of one customer apart, where there is one. `estimator`
    builds an unfitted pipeline with its preprocessing inside.
    """

    name: str
    table: str
    outcome: str
    horizon_days: int
    recency: str
    silence_raises: bool
    estimator: Callable[[Features], Pipeline]
    category: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        return ("customer_id", "as_of", self.category) if self.category else ("customer_id", "as_of")


@dataclass(frozen=True)
class Model:
    """One score: its targets, the column it is published in, and how far back it learns.

    `training_windows` caps the closed windows learned from: the newest say most about next month.
    """

    name: str
    description: str
    targets: tuple[Target, ...]
    score_column: str
    training_windows: int = 6
    maximum_training_rows: int = 500_000

    @property
    def snapshots(self) -> tuple[str, ...]:
        """The marts this model reads."""
        return tuple(dict.fromkeys(target.table for target in self.targets))

    @property
    def has_category(self) -> bool:
        """Whether a row of the scores carries a category: the target's name, or the row's own category."""
        return any(target.category for target in self.targets)
