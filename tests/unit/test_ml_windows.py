"""No role is filled by a window whose outcome was not yet known."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.windows import TooLittleHistory, Window, split

START = datetime(2026, 1, 1)


def _windows(days: list[int], horizon: int) -> list[Window]:
    newest = max(days)
    return [
        Window(START + timedelta(days=day), 10, 10 if day + horizon <= newest else 0, 5) for day in sorted(set(days))
    ]


def test_churn_on_a_monthly_grid_leaves_two_months_between_the_roles() -> None:
    roles = split(_windows([30 * step for step in range(13)], 60), 60, 6)
    assert roles.evaluation == START + timedelta(days=300)
    assert roles.calibration == START + timedelta(days=240)
    assert roles.training[-1] == START + timedelta(days=180)
    assert roles.known_before[-1] == roles.calibration and len(roles.known_before) == 6
    assert roles.closed[-1] == roles.evaluation


@given(
    days=st.lists(st.integers(0, 600), min_size=1, max_size=30),
    horizon=st.integers(1, 90),
    count=st.integers(1, 8),
)
def test_nothing_is_learned_before_its_outcome_is_known(days: list[int], horizon: int, count: int) -> None:
    try:
        roles = split(_windows(days, horizon), horizon, count)
    except TooLittleHistory as shortage:
        assert "window" in str(shortage)
        return
    gap = timedelta(days=horizon)
    assert all(as_of + gap <= roles.calibration for as_of in roles.training)
    assert all(as_of + gap <= roles.evaluation for as_of in roles.known_before)
    assert roles.calibration in roles.known_before
    assert roles.evaluation not in roles.known_before
    assert all(as_of + gap <= START + timedelta(days=max(days)) for as_of in roles.all)
    assert max(len(roles.training), len(roles.known_before), len(roles.closed)) <= count


def test_window_with_an_open_outcome_is_not_closed() -> None:
    assert not Window(START, 10, 9, 5).is_closed
    assert not Window(START, 0, 0, 0).is_closed


@pytest.mark.parametrize(
    ("steps", "missing"), [(2, "no closed window"), (4, "before the newest closed"), (6, "before the calibration")]
)
def test_shortage_says_which_window_is_missing(steps: int, missing: str) -> None:
    with pytest.raises(TooLittleHistory, match=missing):
        split(_windows([30 * step for step in range(steps)], 60), 60, 6)
