"""Splitting by time: a model never learns from an outcome that was not yet known at the time it is judged for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Window:
    """The rows of one as-of time: how many, and how many outcomes are known and true."""

    as_of: datetime
    rows: int
    known: int
    positives: int

    @property
    def is_closed(self) -> bool:
        return self.known == self.rows and self.rows > 0


@dataclass(frozen=True)
class Split:
    """The roles of the closed windows.

    `evaluation` is the newest closed window and no fit that is measured has seen it. The outcomes of `calibration` are
    closed before `evaluation` begins, those of `training` before `calibration` begins. `known_before` is what may be
    learned from to be judged on `evaluation`; `closed` is what the model that goes into use learns from.
    """

    training: tuple[datetime, ...]
    calibration: datetime
    known_before: tuple[datetime, ...]
    evaluation: datetime
    closed: tuple[datetime, ...]

    @property
    def all(self) -> tuple[datetime, ...]:
        return tuple(sorted({*self.training, self.calibration, *self.known_before, self.evaluation, *self.closed}))


class TooLittleHistory(Exception):
    """There are not enough closed windows to train, calibrate and judge; the message says what is missing."""


def split(windows: Sequence[Window], horizon_days: int, training_windows: int) -> Split:
    """Give each closed window its role; at most the newest `training_windows` are learned from.

    Raises `TooLittleHistory` naming the role that no window can fill.
    """
    horizon = timedelta(days=horizon_days)
    closed = sorted(window.as_of for window in windows if window.is_closed)
    if not closed:
        raise TooLittleHistory(
            f"no closed window: no as-of time lies {horizon_days} days or more before the newest snapshot"
        )
    evaluation = closed[-1]
    known = [as_of for as_of in closed if as_of + horizon <= evaluation]
    if not known:
        raise TooLittleHistory(f"no window closed before the newest closed one, {evaluation:%Y-%m-%d}, begins")
    calibration = known[-1]
    training = [as_of for as_of in known if as_of + horizon <= calibration]
    if not training:
        raise TooLittleHistory(f"no window closed before the calibration window, {calibration:%Y-%m-%d}, begins")
    return Split(
        training=tuple(training[-training_windows:]),
        calibration=calibration,
        known_before=tuple(known[-training_windows:]),
        evaluation=evaluation,
        closed=tuple(closed[-training_windows:]),
    )
