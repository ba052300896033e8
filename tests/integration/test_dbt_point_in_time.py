"""A snapshot knows nothing later than its date: all that happened after the date is changed, and no feature moves.

What is changed: later orders are moved, made dearer, larger and partly dropped; earlier ones are cancelled and refunded
after the date; later visits and readers of mail do other things; checkouts left before it are completed after it; later
statements about consent say the opposite. Who is who stays: it is today's knowledge at every date, on purpose.
"""

import json
import shutil
from pathlib import Path

import duckdb
import pytest
import yaml

from connectors.sandbox.world import World
from tests.another_future import CUT, change_what_came_later
from tests.dbt_build import PROJECT, build, dbt, mart, rows
from tests.world_lake import write_world

NOW = "2026-10-18 15:00:00"
TABLES = ("customer_snapshots", "customer_category_snapshots")
KEYS = ("customer_id", "as_of", "category")


def features() -> list[tuple[str, str]]:
    """Every feature of every snapshot table, from the contract: a new one is tested the moment it is listed."""
    declared = yaml.safe_load((PROJECT / "models/features/_features.yml").read_text("utf-8"))["models"]
    return [
        (model["name"], column["name"])
        for model in declared
        if model["name"] in TABLES
        for column in model["columns"]
        if column["name"] not in KEYS and not column["name"].startswith("outcome_")
    ]


@pytest.fixture(scope="module")
def lake(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_world(tmp_path_factory.mktemp("told"), world.path)
    # every visit of the world is short; one that is under way at the date tells whether its later part is seen
    with duckdb.connect() as connection:
        path = root / "raw/ga4/events/0001.parquet"
        connection.execute(f"""
            COPY (SELECT * FROM '{path}' UNION ALL BY NAME
              SELECT * REPLACE (epoch_us(TIMESTAMP '{CUT}') + step AS event_timestamp, 'view_item' AS event_name,
                '20260407' AS _table)
              FROM (SELECT DISTINCT ON (user_id) * FROM '{path}' WHERE user_id IS NOT NULL)
              CROSS JOIN (VALUES (-60000000), (60000000), (120000000)) AS steps (step))
            TO '{path}.more' (FORMAT parquet)""")
        Path(f"{path}.more").replace(path)
    build(root, *TABLES)
    return root


@pytest.fixture(scope="module")
def changed(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same shop with another future, asked for the one date by name."""
    root = tmp_path_factory.mktemp("changed")
    shutil.copytree(lake / "raw", root / "raw")
    change_what_came_later(root)
    asked = json.dumps({"snapshot_dates": [CUT.replace(" ", "T") + "Z"]})
    models = [f"+{table}" for table in TABLES]
    dbt(root, "build", "--exclude-resource-type", "test", "unit_test", "--vars", asked, "--select", *models)
    return root


def differing(lake: Path, changed: Path, table: str, column: str, as_of: str) -> int:
    """How many rows of one date have another value in one column, rows that only one side has included."""
    keys = "customer_id, category" if table == "customer_category_snapshots" else "customer_id"
    sides = [
        f"SELECT {keys}, {column} FROM {mart(root, table)} WHERE as_of = TIMESTAMP '{as_of}'"
        for root in (lake, changed)
    ]
    counted = rows(f"""
        SELECT (SELECT count(*) FROM ({sides[0]} EXCEPT ALL {sides[1]}))
          + (SELECT count(*) FROM ({sides[1]} EXCEPT ALL {sides[0]})), (SELECT count(*) FROM ({sides[0]}))""")
    assert counted[0][1] > 50
    return int(counted[0][0])


@pytest.mark.parametrize(("table", "column"), features())
def test_no_feature_reads_past_its_date(lake: Path, changed: Path, table: str, column: str) -> None:
    assert differing(lake, changed, table, column, CUT) == 0


@pytest.mark.parametrize(("table", "column"), features())
def test_every_feature_sees_what_comes_before_its_date(lake: Path, changed: Path, table: str, column: str) -> None:
    """Half a year later all that was changed has happened: a feature that does not move could not have failed above."""
    assert differing(lake, changed, table, column, NOW) > 0


def test_the_asked_dates_and_the_clock_are_all_there_is(changed: Path) -> None:
    found = rows(f"SELECT DISTINCT CAST(as_of AS VARCHAR) FROM {mart(changed, 'customer_snapshots')} ORDER BY 1")
    assert found == [(CUT,), (NOW,)]


def test_the_table_keeps_thirteen_dates_by_default(lake: Path) -> None:
    assert (
        rows(f"""
        SELECT count(DISTINCT as_of), max(as_of) - min(as_of) FROM {mart(lake, "customer_snapshots")}
        """)[0][0]
        >= 12
    )


def test_a_date_after_the_clock_is_refused(lake: Path) -> None:
    with pytest.raises(AssertionError, match="2027-01-01, which is after the as-of time"):
        dbt(lake, "compile", "--vars", "{snapshot_dates: [2027-01-01]}", "--select", "snapshot_dates")
