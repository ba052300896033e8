"""The figures on a model card are what their names say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from ml import metrics


def test_perfect_ranking_has_full_marks() -> None:
    outcome = np.array([0] * 90 + [1] * 10)
    measured = metrics.measure(outcome, outcome.astype(float))
    assert (measured.auc, measured.pr_auc, measured.lift_top_tenth, measured.ece) == (1.0, 1.0, 10.0, 0.0)


def test_lift_of_equal_scores_is_one() -> None:
    outcome = np.array([1, 0, 0, 0] * 25)
    assert metrics.lift_top_tenth(outcome, np.zeros(100)) == pytest.approx(1.0)


def test_lift_counts_ties_at_the_edge_by_their_rate() -> None:
    outcome = np.array([1, 1, 0, 0] + [0] * 16)
    ranking = np.array([2.0, 1.0, 1.0, 1.0] + [0.0] * 16)
    # the top two of twenty: one sure hit and one of three tied rows, of which a third is a hit
    assert metrics.lift_top_tenth(outcome, ranking) == pytest.approx((1 + 1 / 3) / 2 / 0.1)


def test_calibration_error_is_the_mean_distance_of_the_bins() -> None:
    probability = np.repeat([0.2, 0.8], 50)
    outcome = np.concatenate([np.tile([1, 1, 0, 0, 0], 10), np.tile([1, 1, 1, 1, 0], 10)])
    assert metrics.expected_calibration_error(outcome, probability) == pytest.approx(0.1)


def test_chance_calibration_error_shrinks_with_rows() -> None:
    generator = np.random.default_rng(1)
    few, many = generator.random(200), generator.random(20_000)
    assert metrics.chance_calibration_error(few) > 3 * metrics.chance_calibration_error(many)
    assert metrics.chance_calibration_error(few) == metrics.chance_calibration_error(few)


def test_reliability_covers_every_row() -> None:
    generator = np.random.default_rng(2)
    probability = generator.random(1003)
    points = metrics.reliability((generator.random(1003) < probability).astype(int), probability)
    assert sum(point["rows"] for point in points) == 1003
    assert [point["predicted"] for point in points] == sorted(point["predicted"] for point in points)


def test_population_stability_is_small_for_one_population_and_large_for_another() -> None:
    generator = np.random.default_rng(3)
    before = generator.normal(size=5000)
    assert metrics.population_stability(before, generator.normal(size=5000)) < 0.02
    assert metrics.population_stability(before, generator.normal(1.5, size=5000)) > 0.25
    assert metrics.population_stability(before, np.full(5000, np.nan)) > 0.25


def test_population_stability_of_a_column_without_values_is_nothing() -> None:
    empty = np.full(100, np.nan)
    assert metrics.population_stability(empty, empty) == pytest.approx(0.0)


def test_gain_of_a_ranking_over_itself_is_nothing() -> None:
    generator = np.random.default_rng(4)
    ranking = generator.random(300)
    outcome = (generator.random(300) < ranking).astype(int)
    gain = metrics.pr_auc_gain(outcome, ranking, ranking, np.arange(300))
    assert gain == {"gain": 0.0, "low": 0.0, "high": 0.0, "share_better": 0.0}


def test_gain_of_knowledge_over_noise_is_certain() -> None:
    generator = np.random.default_rng(5)
    ranking = generator.random(500)
    outcome = (generator.random(500) < ranking).astype(int)
    gain = metrics.pr_auc_gain(outcome, ranking, generator.random(500), np.repeat(np.arange(50), 10))
    assert gain["low"] > 0 and gain["low"] < gain["gain"] < gain["high"] and gain["share_better"] == 1.0


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 4)), min_size=2, max_size=60).filter(
        lambda rows: any(hit and weight for hit, _, weight in rows)
    )
)
def test_weighted_average_precision_is_that_of_scikit_learn(rows: list[tuple[bool, int, int]]) -> None:
    outcome = np.array([hit for hit, _, _ in rows]).astype(int)
    ranking = np.array([score for _, score, _ in rows], dtype=float)
    weights = np.array([weight for _, _, weight in rows], dtype=float)
    ours = metrics._Ranked(outcome, ranking).average_precision(weights)
    assert ours == pytest.approx(average_precision_score(outcome, ranking, sample_weight=weights), abs=1e-9)
