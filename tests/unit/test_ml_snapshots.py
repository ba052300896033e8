"""Snapshots are read as they are meant, and what breaks their promises is named with the remedy."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.churn import CHURN
from ml.declaration import Target
from ml.propensity import PROPENSITY
from ml.snapshots import (
    SnapshotError,
    batches,
    features_of,
    fingerprint,
    load,
    newest_as_of,
    open_snapshots,
    windows_of,
)

TARGET = CHURN.targets[0]
OLD, NEW = datetime(2026, 1, 1), datetime(2026, 6, 1)


def _table(**changes: Any) -> pa.Table:
    columns: dict[str, Any] = {
        "customer_id": ["b", "a", "a", "b"],
        "as_of": pa.array([OLD, OLD, NEW, NEW], pa.timestamp("us")),
        "days_since_last_order": pa.array([3, 4, 5, 6], pa.int64()),
        "spend": pa.array([Decimal("1.50"), None, Decimal("2.25"), Decimal("3.00")], pa.decimal128(18, 4)),
        "is_member": [True, False, None, True],
        "prefecture": pa.array(["Tokyo", None, "Osaka", "Tokyo"]).dictionary_encode(),
        "outcome_churned": pa.array([True, False, None, None], pa.bool_()),
        "outcome_ordered": pa.array([False, True, None, None], pa.bool_()),
    }
    columns.update(changes)
    return pa.table({name: column for name, column in columns.items() if column is not None})


def _open(tmp_path: Path, table: pa.Table) -> Any:
    pq.write_table(table, tmp_path / "data.parquet")
    return open_snapshots(str(tmp_path))


def test_every_column_but_keys_and_outcomes_is_a_feature(tmp_path: Path) -> None:
    features = features_of(_open(tmp_path, _table()), TARGET)
    assert features.numeric == ("days_since_last_order", "is_member", "spend")
    assert features.text == ("prefecture",)


def test_category_is_key_and_feature(tmp_path: Path) -> None:
    target = PROPENSITY.targets[1]
    table = _table(category=["milk"] * 4, days_since_category_order=[1, 2, 3, 4])
    features = features_of(_open(tmp_path, table), target)
    assert "category" in features.text and target.keys == ("customer_id", "as_of", "category")


def test_decimals_booleans_and_gaps_become_numbers(tmp_path: Path) -> None:
    dataset = _open(tmp_path, _table())
    frame = load(dataset, TARGET, features_of(dataset, TARGET), [OLD, NEW])
    assert frame["customer_id"].tolist() == ["a", "a", "b", "b"]
    assert frame["spend"].dtype == np.float32 and frame["spend"].tolist()[1:] == [2.25, 1.5, 3.0]
    assert np.isnan(frame["spend"][0]) and np.isnan(frame["is_member"][1])
    assert frame["prefecture"].tolist() == ["", "Osaka", "Tokyo", "Tokyo"]
    assert frame["outcome_churned"].tolist()[::2] == [0.0, 1.0]


def test_a_time_is_no_feature(tmp_path: Path) -> None:
    table = _table(last_ordered_on=pa.array([date(2026, 1, 1)] * 4))
    with pytest.raises(SnapshotError, match=r"customer_snapshots\.last_ordered_on is date32.*days before as_of"):
        features_of(_open(tmp_path, table), TARGET)


@pytest.mark.parametrize("column", ["customer_id", "as_of", "days_since_last_order", "outcome_churned"])
def test_missing_column_is_named(tmp_path: Path, column: str) -> None:
    with pytest.raises(SnapshotError, match=rf"customer_snapshots\.{column} is missing"):
        features_of(_open(tmp_path, _table(**{column: None})), TARGET)


def test_missing_file_names_what_to_build(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(SnapshotError, match="build the dbt models"):
            open_snapshots(str(path))


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), float("-inf")])
def test_broken_number_is_named_with_the_remedy(tmp_path: Path, broken: float) -> None:
    dataset = _open(tmp_path, _table(gap=[1.0, broken, 2.0, broken]))
    with pytest.raises(SnapshotError, match=r"customer_snapshots\.gap is NaN or infinite in 2 rows; divide by nullif"):
        load(dataset, TARGET, features_of(dataset, TARGET), [OLD, NEW])


def test_null_key_is_named(tmp_path: Path) -> None:
    dataset = _open(tmp_path, _table(customer_id=["a", None, "a", "b"]))
    with pytest.raises(SnapshotError, match=r"customer_snapshots\.customer_id is null in 1 rows"):
        load(dataset, TARGET, features_of(dataset, TARGET), [OLD])


def test_key_twice_is_refused(tmp_path: Path) -> None:
    dataset = _open(tmp_path, _table(customer_id=["a", "a", "a", "b"]))
    with pytest.raises(SnapshotError, match="the same customer_id, as_of twice"):
        load(dataset, TARGET, features_of(dataset, TARGET), [OLD])


def test_windows_are_counted(tmp_path: Path) -> None:
    windows = windows_of(_open(tmp_path, _table()), TARGET)
    assert [(window.as_of, window.rows, window.known, window.positives) for window in windows] == [
        (OLD, 2, 2, 1),
        (NEW, 2, 0, 0),
    ]


def test_half_known_window_is_refused(tmp_path: Path) -> None:
    table = _table(outcome_churned=pa.array([True, None, None, None], pa.bool_()))
    with pytest.raises(SnapshotError, match=r"outcome_churned is null in 1 of 2 rows of as_of 2026-01-01"):
        windows_of(_open(tmp_path, table), TARGET)


def test_outcome_from_the_future_is_refused(tmp_path: Path) -> None:
    table = _table(outcome_churned=pa.array([True, False, None, True], pa.bool_()))
    with pytest.raises(SnapshotError, match=r"stated for as_of 2026-06-01, whose 60 days are not over"):
        windows_of(_open(tmp_path, table), TARGET)


def test_batches_are_small_and_of_one_time(tmp_path: Path) -> None:
    dataset = _open(tmp_path, _table())
    frames = list(batches(dataset, TARGET, features_of(dataset, TARGET), NEW, batch_rows=1))
    assert [len(frame) for frame in frames] == [1, 1]
    assert newest_as_of(dataset) == NEW


def test_share_keeps_the_same_customers_in_every_window(tmp_path: Path) -> None:
    ids = [f"c{number}" for number in range(2000)]
    table = pa.table(
        {
            "customer_id": ids * 2,
            "as_of": pa.array([OLD] * 2000 + [NEW] * 2000, pa.timestamp("us")),
            "days_since_last_order": list(range(4000)),
            "outcome_churned": pa.array([True] * 2000 + [None] * 2000, pa.bool_()),
        }
    )
    dataset = _open(tmp_path, table)
    frame = load(dataset, TARGET, features_of(dataset, TARGET), [OLD, NEW], share=0.25)
    kept = [set(frame[frame["as_of"] == as_of]["customer_id"]) for as_of in (OLD, NEW)]
    assert kept[0] == kept[1] and 400 < len(kept[0]) < 600


def test_fingerprint_follows_values_and_not_order(tmp_path: Path) -> None:
    def of(table: pa.Table, target: Target = TARGET) -> str:
        dataset = _open(tmp_path, table)
        return fingerprint(load(dataset, target, features_of(dataset, target), [OLD, NEW]))

    same = of(_table())
    assert of(_table().take([3, 1, 0, 2])) == same
    assert of(_table(days_since_last_order=pa.array([3, 4, 5, 7], pa.int64()))) != same
    assert of(_table(prefecture=["Tokyo", None, "Osaka", "Kyoto"])) != same
