"""Journeys that are kept: what was dated ahead of the clock, and every timer, counts when the clock has passed it."""

import shutil
from pathlib import Path

import duckdb

from connectors.sandbox.world import World
from tests.dbt_build import WORLD_NOW, dbt, mart, rows
from tests.world_lake import write_world

EARLIER = "2026-09-08T15:00:00Z"
MARTS = ["journey_events", "journey_transitions", "journey_stages", "category_journey_stages", "category_rhythms"]


def build(lake: Path, as_of: str) -> None:
    select = ("--exclude-resource-type", "test", "unit_test", "--select", *(f"+{name}" for name in MARTS))
    dbt(lake, "build", *select, as_of=as_of)


def test_a_clock_that_goes_on_moves_kept_journeys_as_a_full_build_does(world: World, tmp_path: Path) -> None:
    kept = write_world(tmp_path / "kept", world.path)
    shutil.copytree(kept / "raw", tmp_path / "full" / "raw")
    build(kept, EARLIER)
    before = rows(f"SELECT count(*) FROM {mart(kept, 'journey_events')}")[0][0]
    build(kept, WORLD_NOW)
    build(tmp_path / "full", WORLD_NOW)
    for name in MARTS:
        day, full = f"FROM {mart(kept, name)}", f"FROM {mart(tmp_path / 'full', name)}"
        assert rows(f"SELECT count(*) FROM (({day} EXCEPT ALL {full}) UNION ALL ({full} EXCEPT ALL {day}))") == [(0,)]
    assert rows(f"SELECT count(*) > {before} FROM {mart(kept, 'journey_events')}") == [(True,)]
    with duckdb.connect(str(kept / "warehouse.duckdb"), read_only=True) as warehouse:
        notes = warehouse.execute(
            "SELECT model, version, logged_from FROM kept.states WHERE model LIKE 'journey%' ORDER BY model"
        ).fetchall()
    models = ["journey_browsing", "journey_events", "journey_moments", "journey_orders", "journey_signals"]
    assert notes == [(model, 2, 1) for model in models], "the second build was a full one"
