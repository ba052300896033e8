"""Each condition of promotion can fail, and says of what."""

from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest

import ml
from ml import judgement
from ml.declaration import Features
from ml.metrics import Metrics, measure
from tests.made_snapshots import make_snapshots, read, write

CHURN = ml.MODELS["churn"]


def _metrics(pr_auc: float, ece: float = 0.0) -> Metrics:
    return Metrics(auc=0.8, pr_auc=pr_auc, lift_top_tenth=2.0, ece=ece)


def test_tie_with_the_rule_is_no_win_but_a_tie_with_the_model_in_use_is() -> None:
    assert not judgement.beats_rule(_metrics(0.5), _metrics(0.5)).passed
    assert judgement.beats_rule(_metrics(0.51), _metrics(0.5)).passed
    assert judgement.matches_model_in_use(_metrics(0.5), _metrics(0.5)).passed
    assert not judgement.matches_model_in_use(_metrics(0.49), _metrics(0.5)).passed


def test_calibration_is_judged_by_what_so_many_rows_can_show() -> None:
    few, many = np.full(100, 0.3), np.full(50_000, 0.3)
    assert judgement.is_calibrated(_metrics(0.5, ece=0.08), few).passed
    assert not judgement.is_calibrated(_metrics(0.5, ece=0.08), many).passed


def test_overconfident_probabilities_are_refused() -> None:
    generator = np.random.default_rng(1)
    honest = generator.random(5000)
    outcome = (generator.random(5000) < honest).astype(int)
    overconfident = np.clip((honest - 0.5) * 3 + 0.5, 0.001, 0.999)
    assert judgement.is_calibrated(measure(outcome, honest), honest).passed
    assert not judgement.is_calibrated(measure(outcome, overconfident), overconfident).passed


def test_leaks_are_seen_in_numbers_gaps_and_texts() -> None:
    outcome = np.tile([0.0, 1.0], 100)
    frame = pd.DataFrame(
        {
            "outcome_churned": outcome,
            "number": outcome * -3,
            "gap": np.where(outcome == 1, np.nan, 1.0),
            "text": np.where(outcome == 1, "left", "stayed"),
            "noise": np.random.default_rng(2).random(200),
        }
    )
    aucs = judgement.feature_aucs(frame, CHURN.targets[0], Features(("number", "gap", "noise"), ("text",)))
    assert aucs["number"] == aucs["gap"] == aucs["text"] == 1.0
    assert aucs["noise"] < 0.65
    assert not judgement.no_feature_tells_the_outcome(aucs).passed
    assert judgement.no_feature_tells_the_outcome({"noise": aucs["noise"]}).passed


def test_ranking_that_lives_on_its_own_window_alone_fails_the_shift() -> None:
    generator = np.random.default_rng(3)
    habit = generator.random(2000)
    outcome = (generator.random(2000) < habit).astype(int)
    assert judgement.survives_shift(outcome, habit, habit + generator.normal(0, 0.1, 2000)).passed
    assert not judgement.survives_shift(outcome, outcome + 0.0, generator.random(2000)).passed


def test_scores_of_another_population_have_drifted() -> None:
    generator = np.random.default_rng(4)
    before = generator.beta(2, 5, 3000)
    assert judgement.has_not_drifted(before, generator.beta(2, 5, 3000))[0].passed
    assert not judgement.has_not_drifted(before, generator.beta(5, 2, 3000))[0].passed


@pytest.mark.slow
def test_large_shop_is_learned_from_a_share_of_its_customers(tmp_path: Path) -> None:
    snapshots = make_snapshots(tmp_path)
    card = ml.train(replace(CHURN, maximum_training_rows=800), snapshots, str(tmp_path / "models"))
    headline = card.headline
    assert headline is not None
    assert 0.2 < headline.sampled_share < 0.8
    assert headline.rows["training"] < 0.8 * 750
    scored = ml.score("churn", snapshots, str(tmp_path / "models"), str(tmp_path / "scores.parquet"))
    assert card.promoted and scored.rows > 240


def test_today_that_looks_like_no_day_before_is_not_promoted(tmp_path: Path) -> None:
    snapshots = make_snapshots(tmp_path)
    rows = read(snapshots["customer_snapshots"])
    newest = rows["as_of"] == rows["as_of"].max()
    for column in ("days_since_last_order", "recency_to_gap"):
        rows.loc[newest, column] = rows.loc[newest, column] * 50 + 100
    write(rows, snapshots["customer_snapshots"])
    card = ml.train("churn", snapshots, str(tmp_path / "models"))
    assert not card.promoted and "has_not_drifted failed" in card.reason


@pytest.mark.slow
def test_snapshots_are_read_from_any_fsspec_url(tmp_path: Path) -> None:
    snapshots = make_snapshots(tmp_path, customers=60)
    url = f"memory://{tmp_path.name}/customer_snapshots/data.parquet"
    with fsspec.open(url, "wb") as file:
        file.write(Path(snapshots["customer_snapshots"]).read_bytes())
    local = ml.train("churn", snapshots, str(tmp_path / "local"))
    remote = ml.train("churn", {"customer_snapshots": url}, str(tmp_path / "remote"))
    assert remote.to_json() == local.to_json()


def test_unknown_snapshot_path_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ml.SnapshotError, match="no snapshots at"):
        ml.train("churn", {"customer_snapshots": str(tmp_path / "nothing")}, str(tmp_path / "models"))
