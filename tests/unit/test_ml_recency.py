"""The rule that models have to beat is given every chance."""

import numpy as np
import pandas as pd
import pytest

from ml.churn import CHURN
from ml.propensity import PROPENSITY
from ml.recency import RecencyRule

CHURNED, CATEGORY = CHURN.targets[0], PROPENSITY.targets[1]


def _frame(silence: list[float], outcome: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"days_since_last_order": silence, "outcome_churned": outcome})


def test_longer_silence_ranks_churners_higher_and_orderers_lower() -> None:
    rule = RecencyRule.fit(_frame([1, 5, 90], [0, 0, 1]), CHURNED)
    assert rule.ranking(_frame([5, 90, 1], [0, 1, 0])).tolist() == [5, 90, 1]
    frame = pd.DataFrame({"days_since_category_order": [1.0, np.nan, 9.0], "category": "milk", "outcome_ordered": 1})
    ranking = RecencyRule.fit(frame, CATEGORY).ranking(frame)
    assert np.argsort(ranking).tolist() == [1, 2, 0]


def test_rates_are_those_of_the_bucket_and_category() -> None:
    frame = pd.DataFrame(
        {
            "days_since_category_order": [5.0] * 40,
            "category": ["milk"] * 20 + ["soup"] * 20,
            "outcome_ordered": [1] * 15 + [0] * 5 + [1] * 5 + [0] * 15,
        }
    )
    rule = RecencyRule.fit(frame, CATEGORY)
    assert rule.probability(frame)[[0, -1]].tolist() == [0.75, 0.25]
    strange = frame.iloc[:1].assign(category="a category never met")
    assert rule.probability(strange).tolist() == [0.5]


def test_strongest_reading_is_the_one_to_beat() -> None:
    """Milk is bought weekly and soup yearly: ten days of silence mean little, the category's rate means a lot."""
    frame = pd.DataFrame(
        {
            "days_since_category_order": [9.0, 10.0, 11.0, 12.0] * 10,
            "category": ["soup", "milk"] * 20,
            "outcome_ordered": [0, 1] * 20,
        }
    )
    rule = RecencyRule.fit(frame, CATEGORY)
    assert rule.measure(frame).pr_auc == pytest.approx(1.0)
    assert rule.measure(frame).ece == pytest.approx(0.0)


def test_shop_where_nobody_bought_yet_has_one_bucket() -> None:
    frame = _frame([np.nan, np.nan], [0, 1])
    rule = RecencyRule.fit(frame, CHURNED)
    assert rule.probability(frame).tolist() == [0.5, 0.5]
    assert len(set(rule.ranking(frame))) == 1
