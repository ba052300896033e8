"""Scoring says what it could not score, and its memory does not grow with the table."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ml
from tests.made_snapshots import NEWEST, make_snapshots, read, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str]:
    """Snapshots and the models trained on them."""
    directory = tmp_path_factory.mktemp("shop")
    snapshots = make_snapshots(directory / "snapshots")
    for name in ml.MODELS:
        assert ml.train(name, snapshots, str(directory / "models")).promoted
    return snapshots, str(directory / "models")


def test_category_never_met_is_left_out_and_counted(shop: tuple[dict[str, str], str], tmp_path: Path) -> None:
    snapshots, models_dir = shop
    rows = read(snapshots["customer_category_snapshots"])
    newest = rows["as_of"] == NEWEST
    rows.loc[newest & (rows["category"] == "milk"), "category"] = "oat drinks"
    changed = snapshots | {"customer_category_snapshots": write(rows, tmp_path / "changed.parquet")}
    scored = ml.score("propensity", changed, models_dir, str(tmp_path / "scores.parquet"))
    assert scored.unscored == {"oat drinks": int((newest & (rows["category"] == "oat drinks")).sum())}
    categories = set(pq.read_table(tmp_path / "scores.parquet").to_pandas()["category"])
    assert categories == {"any", "bread", "cheese"}


def test_text_never_met_counts_as_missing(shop: tuple[dict[str, str], str], tmp_path: Path) -> None:
    snapshots, models_dir = shop
    rows = read(snapshots["customer_snapshots"])
    newest = rows["as_of"] == NEWEST
    rows.loc[newest & (rows["prefecture"] == "Osaka"), "prefecture"] = "Okinawa"
    changed = {"customer_snapshots": write(rows, tmp_path / "changed.parquet")}
    scored = ml.score("churn", changed, models_dir, str(tmp_path / "scores.parquet"))
    assert scored.rows == newest.sum()
    assert scored.unseen == {"prefecture": int((rows["prefecture"] == "Okinawa").sum())}


def test_snapshots_of_different_builds_are_refused(shop: tuple[dict[str, str], str], tmp_path: Path) -> None:
    snapshots, models_dir = shop
    rows = read(snapshots["customer_category_snapshots"])
    older = write(rows[rows["as_of"] < NEWEST], tmp_path / "older.parquet")
    with pytest.raises(ml.SnapshotError, match=r"end at different times .* build them in one dbt run"):
        ml.score("propensity", snapshots | {"customer_category_snapshots": older}, models_dir, str(tmp_path / "out"))


def test_snapshots_may_be_a_folder_of_parts(shop: tuple[dict[str, str], str], tmp_path: Path) -> None:
    snapshots, models_dir = shop
    rows = read(snapshots["customer_snapshots"])
    folder = tmp_path / "customer_snapshots"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    for part in range(3):
        write(rows.iloc[part::3], folder / f"part-{part}.parquet")
    parts = ml.score("churn", {"customer_snapshots": str(folder)}, models_dir, str(tmp_path / "parts.parquet"))
    whole = ml.score("churn", snapshots, models_dir, str(tmp_path / "whole.parquet"))
    assert parts == whole
    columns = ["customer_id", "churn_probability"]
    first, second = (
        pq.read_table(tmp_path / f"{name}.parquet").to_pandas()[columns].sort_values("customer_id", ignore_index=True)
        for name in ("parts", "whole")
    )
    pd.testing.assert_frame_equal(first, second)


def test_times_marked_as_utc_are_the_same_times(shop: tuple[dict[str, str], str], tmp_path: Path) -> None:
    """Spark writes instants, DuckDB times without zone; both mean UTC."""
    snapshots, models_dir = shop
    table = pq.read_table(snapshots["customer_snapshots"])
    index = table.schema.get_field_index("as_of")
    marked = table.set_column(index, "as_of", table.column("as_of").cast(pa.timestamp("us", tz="UTC")))
    pq.write_table(marked, tmp_path / "marked.parquet")
    spark = {"customer_snapshots": str(tmp_path / "marked.parquet")}
    assert ml.train("churn", spark, models_dir).version == ml.train("churn", snapshots, models_dir).version
    ml.score("churn", spark, models_dir, str(tmp_path / "marked-scores.parquet"))
    ml.score("churn", snapshots, models_dir, str(tmp_path / "scores.parquet"))
    assert (tmp_path / "marked-scores.parquet").read_bytes() == (tmp_path / "scores.parquet").read_bytes()


def test_probabilities_are_those_that_came_true(shop: tuple[dict[str, str], str], tmp_path: Path) -> None:
    """Scoring uses the model as it was trained: scored as of a closed day, the probabilities match what followed."""
    snapshots, models_dir = shop
    rows = read(snapshots["customer_snapshots"])
    then = NEWEST - timedelta(days=60)
    past = rows[rows["as_of"] <= then]
    happened = past[past["as_of"] == then].set_index("customer_id")["outcome_churned"].astype(bool)
    ml.score("churn", {"customer_snapshots": write(past, tmp_path / "past.parquet")}, models_dir, str(tmp_path / "s"))
    scores = pq.read_table(tmp_path / "s").to_pandas().set_index("customer_id")["churn_probability"]
    assert abs(scores.mean() - happened.mean()) < 0.05
    assert scores[happened].mean() > scores[~happened].mean() + 0.3


_PEAK = """
import json, resource, sys, ml
snapshots, models_dir, out = json.loads(sys.argv[1])
ml.score("churn", {"customer_snapshots": snapshots[0]}, models_dir, out)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
scored = ml.score("churn", {"customer_snapshots": snapshots[1]}, models_dir, out)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"rows": scored.rows, "grown_mib": grown / 1024}))
"""


@pytest.mark.slow
def test_scoring_memory_is_bounded(shop: tuple[dict[str, str], str], tmp_path: Path) -> None:
    """One row group of 700,000 rows is read in pieces: as one frame it cost 141 MiB more than 100,000 rows."""
    snapshots, models_dir = shop
    newest = pq.read_table(snapshots["customer_snapshots"], filters=[("as_of", "=", NEWEST)])
    paths = []
    for rows in (100_000, 700_000):
        copies = newest.take(np.arange(rows) % newest.num_rows)
        ids = pa.array([f"customer-{number:08d}" for number in range(rows)])
        copies = copies.set_column(copies.schema.get_field_index("customer_id"), "customer_id", ids)
        paths.append(str(tmp_path / f"{rows}.parquet"))
        pq.write_table(copies, paths[-1], row_group_size=rows)
    arguments = json.dumps([paths, models_dir, str(tmp_path / "scores.parquet")])
    command = [sys.executable, "-c", _PEAK, arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["rows"] == 700_000
    assert measured["grown_mib"] < 48, measured
