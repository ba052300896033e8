"""Every model keeps the same promises, the moment it is listed in `ml.MODELS`."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ml
from ml.card import ModelCard
from ml.store import ModelStore
from tests.made_snapshots import NEWEST, make_snapshots, read, write

pytestmark = pytest.mark.parametrize("name", sorted(ml.MODELS))


@dataclass(frozen=True)
class Trained:
    snapshots: dict[str, str]
    models_dir: str
    cards: dict[str, ModelCard]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """Every model trained once on a shop that can be learned from."""
    directory = tmp_path_factory.mktemp("models")
    snapshots = make_snapshots(directory / "snapshots")
    models_dir = str(directory / "models")
    yield Trained(snapshots, models_dir, {name: ml.train(name, snapshots, models_dir) for name in ml.MODELS})


def test_model_that_beats_the_rule_is_in_use(name: str, trained: Trained) -> None:
    card = trained.cards[name]
    assert card.promoted, card.reason
    assert card.in_use == card.version and card.in_use_passes
    for target in card.targets.values():
        assert target.metrics.pr_auc > target.recency_rule.pr_auc
        assert target.gain["gain"] == pytest.approx(target.metrics.pr_auc - target.recency_rule.pr_auc, abs=1e-9)
        assert all(check.passed for check in target.checks)
    assert ml.card_in_use(name, trained.models_dir) is not None


def test_no_window_is_judged_by_a_fit_that_knew_its_outcome(name: str, trained: Trained) -> None:
    for target in trained.cards[name].targets.values():
        horizon = timedelta(days=target.horizon_days)
        evaluation = datetime.fromisoformat(target.windows["evaluation"])
        calibration = datetime.fromisoformat(target.windows["calibration"])
        assert calibration + horizon <= evaluation
        assert all(datetime.fromisoformat(day) + horizon <= calibration for day in target.windows["training"])
        learned = target.windows["judged_fit_learns_from"]
        assert all(datetime.fromisoformat(day) + horizon <= evaluation for day in learned)
        newest_closed = NEWEST.date() - timedelta(days=-(-target.horizon_days // 30) * 30)
        assert evaluation.date() == newest_closed


def test_card_is_json_and_comes_back_the_same(name: str, trained: Trained) -> None:
    card = trained.cards[name]
    content = json.loads(json.dumps(card.to_json()))
    assert ModelCard.from_json(content).to_json() == content
    assert content["trained_at"] == NEWEST.isoformat()
    assert {"auc", "pr_auc", "lift_top_tenth", "ece"} == set(content["metrics"]) == set(content["recency_rule"])
    assert len(card.headline.reliability) == 10


def test_scores_have_the_schema_readers_expect(name: str, trained: Trained, tmp_path: Path) -> None:
    scored = ml.score(name, trained.snapshots, trained.models_dir, str(tmp_path / "scores.parquet"))
    ml.empty_scores(name, str(tmp_path / "schema.parquet"))
    scores = pq.read_table(tmp_path / "scores.parquet")
    empty = pq.read_table(tmp_path / "schema.parquet")
    assert scores.schema.equals(empty.schema) and empty.num_rows == 0
    assert scores.num_rows == scored.rows > 0
    keys = ["customer_id", *(["category"] if ml.MODELS[name].has_category else [])]
    frame = scores.to_pandas()
    assert not frame.duplicated(keys).any()
    assert set(frame["as_of"]) == set(frame["scored_at"]) == {NEWEST}
    assert set(frame["model_version"]) == {trained.cards[name].version}
    probability = frame[ml.MODELS[name].score_column]
    assert probability.between(0, 1).all() and probability.nunique() > 20


@pytest.mark.slow
def test_everyone_of_the_newest_snapshot_is_scored_once(name: str, trained: Trained, tmp_path: Path) -> None:
    scored = ml.score(name, trained.snapshots, trained.models_dir, str(tmp_path / "scores.parquet"), batch_rows=190)
    tables = [read(trained.snapshots[target.table]) for target in ml.MODELS[name].targets]
    assert scored.rows == sum(int((table["as_of"] == NEWEST).sum()) for table in tables)
    assert scored.unscored == {}


@pytest.mark.slow
def test_same_snapshots_give_the_same_version_and_bytes(name: str, trained: Trained, tmp_path: Path) -> None:
    shuffled = {}
    for table, path in trained.snapshots.items():
        rows = read(path)
        shuffled[table] = write(rows.sample(frac=1, random_state=3), tmp_path / f"{table}.parquet")
    card = ml.train(name, shuffled, str(tmp_path / "models"))
    assert card.version == trained.cards[name].version
    ml.score(name, trained.snapshots, trained.models_dir, str(tmp_path / "first.parquet"))
    ml.score(name, shuffled, str(tmp_path / "models"), str(tmp_path / "second.parquet"))
    assert (tmp_path / "first.parquet").read_bytes() == (tmp_path / "second.parquet").read_bytes()


def test_second_training_on_the_same_snapshots_is_skipped(
    name: str, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.training.fit", lambda *_: pytest.fail("trained again on the same snapshots"))
    card = ml.train(name, trained.snapshots, trained.models_dir)
    assert card.to_json() == trained.cards[name].to_json()


def test_too_little_history_is_a_card_and_no_scores(name: str, trained: Trained, tmp_path: Path) -> None:
    snapshots = {}
    for table, path in trained.snapshots.items():
        rows = read(path)
        newest_two = sorted(rows["as_of"].unique())[-2:]
        snapshots[table] = write(rows[rows["as_of"].isin(newest_two)], tmp_path / f"{table}.parquet")
    _assert_not_promoted(name, snapshots, tmp_path, "window")


def test_no_snapshots_at_all_is_a_card_and_no_scores(name: str, trained: Trained, tmp_path: Path) -> None:
    snapshots = {
        table: write(read(path).iloc[:0], tmp_path / f"{table}.parquet") for table, path in trained.snapshots.items()
    }
    card = _assert_not_promoted(name, snapshots, tmp_path, "no closed window")
    assert card.trained_at is None


def test_single_outcome_is_a_card_and_no_scores(name: str, trained: Trained, tmp_path: Path) -> None:
    snapshots = {}
    for table, path in trained.snapshots.items():
        rows = read(path)
        for outcome in [column for column in rows if column.startswith("outcome_")]:
            rows[outcome] = rows[outcome].map(lambda known: None if known is None else False)
        snapshots[table] = write(rows, tmp_path / f"{table}.parquet")
    _assert_not_promoted(name, snapshots, tmp_path, "true in 0 of")


def test_model_no_better_than_the_rule_stays_out(name: str, trained: Trained, tmp_path: Path) -> None:
    """Where silence alone decides, nothing can rank better than the rule, and a tie does not promote."""
    snapshots = dict(trained.snapshots)
    for target in ml.MODELS[name].targets:
        rows = read(snapshots[target.table])
        silence = rows[target.recency].fillna(9999)
        late = silence > silence.median()
        outcome = late if target.silence_raises else ~late
        rows[target.outcome] = outcome.astype(object).where(rows[target.outcome].notna(), None)
        snapshots[target.table] = write(rows, tmp_path / f"{target.table}-{target.name}.parquet")
    _assert_not_promoted(name, snapshots, tmp_path, "beats_recency_rule")


def test_feature_that_knows_the_outcome_is_caught_by_name(name: str, trained: Trained, tmp_path: Path) -> None:
    target = ml.MODELS[name].targets[0]
    rows = read(trained.snapshots[target.table])
    noise = np.random.default_rng(1).random(len(rows))
    rows["lifetime_value_next_year"] = rows[target.outcome].map({True: 5.0, False: 1.0}).fillna(2.0) + noise
    snapshots = trained.snapshots | {target.table: write(rows, tmp_path / "leaking.parquet")}
    card = _assert_not_promoted(name, snapshots, tmp_path, "no_feature_tells_the_outcome")
    assert "lifetime_value_next_year" in card.reason


@pytest.mark.slow
def test_worse_model_leaves_the_one_in_use(name: str, trained: Trained, tmp_path: Path) -> None:
    """In the new snapshots all but silence is noise where models learn, so the one in use is better where it counts."""
    models_dir = str(tmp_path / "models")
    shutil.copytree(trained.models_dir, models_dir)
    good = trained.cards[name]
    generator = np.random.default_rng(5)
    snapshots = {}
    for table, path in trained.snapshots.items():
        rows = read(path)
        recency = {target.recency for target in ml.MODELS[name].targets}
        closed = rows["as_of"] < sorted(rows["as_of"].unique())[-3]
        for column in rows.columns.difference(["customer_id", "as_of", "category", *recency]):
            if not column.startswith("outcome_"):
                values = rows.loc[closed, column].to_numpy()
                rows.loc[closed, column] = values[generator.permutation(len(values))]
        snapshots[table] = write(rows, tmp_path / f"{table}.parquet")
    card = ml.train(name, snapshots, models_dir)
    assert not card.promoted
    assert card.in_use == good.version == card.compared_with
    assert ModelStore(models_dir, name).version_in_use() == good.version
    scored = ml.score(name, snapshots, models_dir, str(tmp_path / "scores.parquet"))
    assert scored.version == good.version and scored.rows > 0


def test_nan_and_infinity_are_named_with_the_remedy(name: str, trained: Trained, tmp_path: Path) -> None:
    target = ml.MODELS[name].targets[0]
    for broken in (float("nan"), float("inf")):
        table = pq.read_table(trained.snapshots[target.table])
        values = table.column("mean_gap_days").to_pylist()
        values[-1] = broken
        index = table.schema.get_field_index("mean_gap_days")
        path = tmp_path / "broken.parquet"
        pq.write_table(table.set_column(index, "mean_gap_days", pa.array(values, pa.float64())), path)
        with pytest.raises(ml.SnapshotError, match=rf"{target.table}\.mean_gap_days is NaN or infinite.*nullif"):
            ml.score(name, trained.snapshots | {target.table: str(path)}, trained.models_dir, str(tmp_path / "out"))


def test_feature_that_disappeared_is_named(name: str, trained: Trained, tmp_path: Path) -> None:
    target = ml.MODELS[name].targets[0]
    gone = write(read(trained.snapshots[target.table]).drop(columns="mean_gap_days"), tmp_path / "gone.parquet")
    with pytest.raises(ml.SnapshotError, match="lacks mean_gap_days"):
        ml.score(name, trained.snapshots | {target.table: gone}, trained.models_dir, str(tmp_path / "out.parquet"))


def test_outcome_stated_too_early_is_refused(name: str, trained: Trained, tmp_path: Path) -> None:
    target = ml.MODELS[name].targets[0]
    rows = read(trained.snapshots[target.table])
    rows[target.outcome] = rows[target.outcome].map(lambda known: known is True)
    early = write(rows, tmp_path / "early.parquet")
    with pytest.raises(ml.SnapshotError, match=rf"{target.outcome} is stated for as_of .* not over"):
        ml.train(name, trained.snapshots | {target.table: early}, str(tmp_path / "models"))


def _assert_not_promoted(name: str, snapshots: dict[str, str], tmp_path: Path, reason: str) -> ModelCard:
    models_dir = str(tmp_path / "models")
    card = ml.train(name, snapshots, models_dir)
    assert not card.promoted and not card.in_use_passes and card.in_use is None
    assert reason in card.reason
    assert json.dumps(card.to_json(), allow_nan=False)
    scored = ml.score(name, snapshots, models_dir, str(tmp_path / "scores.parquet"))
    assert scored.rows == 0 and scored.version is None
    assert pq.read_table(tmp_path / "scores.parquet").num_rows == 0
    return card
