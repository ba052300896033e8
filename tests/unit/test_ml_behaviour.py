"""Behaviour clusters: planted kinds of customers are found again and named, and a fit is kept while it is young."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ml
from ml.behaviour import HABITS, SCHEMA, name_clusters

NOW = datetime(2026, 10, 18, 15)
# What each kind does, in the order of HABITS; a tenth of noise on everything.
KINDS = {
    "often": (3.0, 5.0, 0.3, 0.3, 0.1, 30.0, 8.0),
    "stocks_up": (30.0, 40.0, 0.8, 0.1, 0.1, 90.0, 1.0),
    "evenings": (10.0, 10.0, 0.2, 0.9, 0.1, 30.0, 1.0),
    "bargains": (20.0, 10.0, 0.3, 0.3, 0.6, 30.0, 1.0),
}


def snapshots(path: Path, as_of: datetime = NOW, each: int = 40, changed: dict[str, float] | None = None) -> str:
    """A folder with one snapshot in which every kind has `each` customers; `changed` columns are the same for all."""
    generator = np.random.default_rng(7)
    rows = []
    for kind, habits in KINDS.items():
        for number in range(each):
            noisy = np.array(habits) * generator.normal(1, 0.1, len(habits))
            values = dict(zip((habit.column for habit in HABITS), noisy.tolist(), strict=True)) | (changed or {})
            rows.append({"customer_id": f"{kind}-{number}", "as_of": as_of, "order_count": 3 + number, **values})
    rows.append({**rows[0], "customer_id": "twice", "order_count": 2})
    path.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    pq.write_table(table.set_column(1, "as_of", table["as_of"].cast(pa.timestamp("us"))), path / "data.parquet")
    return str(path)


def clusters(path: Path) -> dict[str, str]:
    table = pq.read_table(path)
    assert table.schema.equals(SCHEMA)
    return dict(zip(table["customer_id"].to_pylist(), table["cluster_name"].to_pylist(), strict=True))


def test_planted_kinds_are_found_and_named_by_what_stands_out(tmp_path: Path) -> None:
    card = ml.cluster(snapshots(tmp_path / "now"), str(tmp_path / "models"), str(tmp_path / "out.parquet"))
    found = clusters(tmp_path / "out.parquet")
    names = {kind: {name for who, name in found.items() if who.startswith(kind)} for kind in KINDS}
    assert {len(same) for same in names.values()} == {1} and len(set.union(*names.values())) == 4
    assert names["often"] == {"frequent, small baskets, often online"}
    assert "evenings" in names["evenings"].pop() and "bargains" in names["bargains"].pop()
    assert "twice" not in found
    assert max(card.silhouettes, key=lambda count: card.silhouettes[count]) == "4"
    assert sum(cluster.share for cluster in card.clusters) == pytest.approx(1)


def test_the_same_snapshot_gives_the_same_bytes(tmp_path: Path) -> None:
    path = snapshots(tmp_path / "now")
    for run in ("a", "b"):
        ml.cluster(path, str(tmp_path / run), str(tmp_path / f"{run}.parquet"))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_scaling_is_kept_so_that_customers_who_change_together_change_cluster(tmp_path: Path) -> None:
    models, out = str(tmp_path / "models"), str(tmp_path / "out.parquet")
    first = ml.cluster(snapshots(tmp_path / "now"), models, out)
    evening = clusters(tmp_path / "out.parquet")["evenings-0"]
    # a month later everybody has the habits of those who come in the evening: a scaler fitted anew would see no change
    same = dict(zip((habit.column for habit in HABITS), KINDS["evenings"], strict=True))
    later = ml.cluster(snapshots(tmp_path / "later", NOW + timedelta(days=30), changed=same), models, out)
    assert later.version == first.version
    assert set(clusters(tmp_path / "out.parquet").values()) == {evening}


def test_a_fit_is_drawn_anew_after_a_quarter(tmp_path: Path) -> None:
    models, out = str(tmp_path / "models"), str(tmp_path / "out.parquet")
    first = ml.cluster(snapshots(tmp_path / "now"), models, out)
    kept = ml.cluster(snapshots(tmp_path / "kept", NOW + timedelta(days=89)), models, out)
    renewed = ml.cluster(snapshots(tmp_path / "renewed", NOW + timedelta(days=90)), models, out)
    assert first.version == kept.version != renewed.version
    assert renewed.compared_with == first.version


def test_too_few_customers_are_not_clustered_and_the_card_says_so(tmp_path: Path) -> None:
    card = ml.cluster(snapshots(tmp_path / "few", each=9), str(tmp_path / "models"), str(tmp_path / "out.parquet"))
    assert clusters(tmp_path / "out.parquet") == {}
    assert card.reason == "36 customers with 3 orders; 40 are needed" and card.in_use is None


def test_a_missing_habit_is_named(tmp_path: Path) -> None:
    path = Path(snapshots(tmp_path / "now")) / "data.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["weekend_order_rate"]), path)
    with pytest.raises(ml.SnapshotError, match="lacks weekend_order_rate"):
        ml.cluster(str(path.parent), str(tmp_path / "models"), str(tmp_path / "out.parquet"))


def test_no_two_clusters_share_a_name() -> None:
    nothing, alike = np.zeros(len(HABITS)), np.array([2, 0.1, 0, 0, 0, 0, 0])
    names = name_clusters(np.array([nothing, nothing, alike, alike * [1, -1, 1, 1, 1, 1, 1]]))
    assert len(set(names)) == 4
    assert all(name.startswith("occasional") for name in names[2:])
