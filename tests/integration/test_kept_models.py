"""Kept models: whatever changed and wherever a build was stopped, the next one ends where a build from nothing does."""

import json
import random
import re
import shutil
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from bench.large_shop import NOW, Size, write_day, write_shop
from connectors.lake import Lake
from tests.dbt_build import PROJECT, dbt

SIZE = Size(300)
UNTESTED = ("--exclude-resource-type", "test", "unit_test")
# When rows landed is no part of what they say.
CLOCKS = {"landed_at"}


def moment(day: int) -> str:
    return f"{NOW + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ}"


def quiet(stream: str, rows: int) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of a shop, built once; the tests take copies."""
    lake = tmp_path_factory.mktemp("shop") / "lake"
    write_shop(Lake(lake), SIZE, quiet)
    dbt(lake, "build", *UNTESTED, as_of=moment(0))
    return lake


@pytest.fixture
def lake(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "lake"))


def kept_models(lake: Path) -> list[str]:
    """Every model that keeps what it has built, with its folder's address in the warehouse."""
    nodes = json.loads((lake / ".dbt" / "target" / "manifest.json").read_text("utf-8"))["nodes"].values()
    return sorted(node["name"] for node in nodes if node["config"].get("kept_by"))


def rebuilt(lake: Path, folder: Path, as_of: str, *arguments: str) -> Path:
    """The same raw rows and the same marts of the build before, without a warehouse: everything is built anew."""
    shutil.copytree(lake, folder, ignore=shutil.ignore_patterns("warehouse.duckdb*", ".dbt"))
    dbt(folder, "build", *UNTESTED, *arguments, as_of=as_of)
    return folder


def notes(lake: Path, models: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Of each of these kept models its version and the one it was last built in full as."""
    with duckdb.connect(str(lake / "warehouse.duckdb"), read_only=True) as connection:
        told = connection.execute("SELECT model, version, logged_from FROM kept.states").fetchall()
    return {model: (version, full) for model, version, full in told if model in models}


def differing(left: Path, right: Path) -> list[str]:
    """Marts and tables of the warehouse whose rows are not the same in both lakes."""
    told = []
    with duckdb.connect() as connection:
        connection.execute(
            f"ATTACH '{left}/warehouse.duckdb' AS l (READ_ONLY); ATTACH '{right}/warehouse.duckdb' AS r (READ_ONLY)"
        )
        tables = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
            "WHERE database_name = 'l' AND schema_name IN ('staging', 'steps') ORDER BY 1"
        ).fetchall()
        pairs = [(name, f"l.{name}", f"r.{name}") for (name,) in tables if "previous" not in name]
        pairs += [
            (
                f"marts.{mart.name}",
                *(f"read_parquet('{root}/marts/{mart.name}/data.parquet')" for root in (left, right)),
            )
            for mart in sorted((left / "marts").iterdir())
            if mart.is_dir()
        ]
        for name, one, other in pairs:
            columns = [f'"{c}"' for c in connection.sql(f"FROM {one}").columns if c not in CLOCKS]
            digests = [
                connection.execute(
                    f"SELECT count(*), sum(hash(t)) FROM (SELECT {', '.join(columns)} FROM {table}) AS t"
                ).fetchone()
                for table in (one, other)
            ]
            if digests[0] != digests[1]:
                told.append(name)
    return told


def test_days_end_where_a_build_from_nothing_does(lake: Path, tmp_path: Path) -> None:
    write_day(Lake(lake), SIZE, quiet, 0)
    dbt(lake, "build", *UNTESTED, as_of=moment(1))
    write_day(Lake(lake), SIZE, quiet, 1)
    table = take_a_file_away(lake)
    before = Path(shutil.copytree(lake, tmp_path / "before"))
    dbt(lake, "build", *UNTESTED, as_of=moment(2))
    assert differing(lake, rebuilt(before, tmp_path / "anew", moment(2))) == []
    with duckdb.connect(str(lake / "warehouse.duckdb"), read_only=True) as connection:
        found = connection.execute(
            f"SELECT table_name, count(*) FROM staging.stg_ga4__events WHERE table_name LIKE '%{table}' GROUP BY ALL"
        ).fetchall()
    assert found == [(f"intraday_{table}", 5)], "the rows of a file that went go along"


def take_a_file_away(lake: Path) -> str:
    """A day's table of events goes and five rows of it come as an intraday table; returns the table's name."""
    last = max((lake / "raw/ga4/events").glob("2*.parquet"))
    table, intraday = last.stem, last.with_name(f"intraday_{last.name}")
    duckdb.sql(f"SELECT * REPLACE ('intraday_{table}' AS _table) FROM '{last}' LIMIT 5").write_parquet(str(intraday))
    last.unlink()
    return table


def test_a_build_that_stopped_anywhere_is_made_good_by_the_next(lake: Path, tmp_path: Path) -> None:
    chance, models = random.Random(7), kept_models(lake)
    assert models
    for day in range(3):
        write_day(Lake(lake), SIZE, quiet, day)
        # what a stopped build leaves: some models are a day ahead of the others
        dbt(lake, "run", "--select", *chance.sample(models, len(models) // 2), as_of=moment(day + 1))
    before = Path(shutil.copytree(lake, tmp_path / "before"))
    dbt(lake, "build", *UNTESTED, as_of=moment(3))
    assert differing(lake, rebuilt(before, tmp_path / "anew", moment(3))) == []


def test_every_input_of_a_kept_model_is_kept_and_named(built: Path) -> None:
    """A change of an input that is not read from its log would never arrive."""
    nodes = json.loads((built / ".dbt" / "target" / "manifest.json").read_text("utf-8"))["nodes"]
    kept = {node["name"]: node for node in nodes.values() if node["config"].get("kept_by")}
    assert kept
    for name, node in kept.items():
        if "keys_that_changed" not in (PROJECT / node["original_file_path"]).read_text("utf-8"):
            continue
        # a seed is part of the model's fingerprint
        parents = [nodes[parent] for parent in node["depends_on"]["nodes"] if parent in nodes]
        inputs = {parent["name"] for parent in parents if parent["resource_type"] == "model"}
        assert inputs == set(node["config"].get("kept_from", ())), name
        assert inputs <= kept.keys(), f"{name} reads {inputs - kept.keys()}, which has no log"
        # also of those whose changes follow from another's: with only some models built, they come at another time
        asked = set(re.findall(r"kept\.(\w+)__changes", node["compiled_code"].partition("keys*/")[0]))
        changing = {parent["name"] for parent in parents if parent["name"] in inputs and parent["depends_on"]["nodes"]}
        assert changing <= asked, f"{name} does not ask {changing - asked} for changes"


def test_a_key_that_comes_twice_is_found_and_nothing_is_exchanged(lake: Path) -> None:
    run = ("run", "--select", "stg_shopify__orders", "stg_shopify__order_lines")
    count = "SELECT count(*) FROM staging.stg_shopify__order_lines"
    with duckdb.connect(str(lake / "warehouse.duckdb"), read_only=True) as connection:
        before = connection.execute(count).fetchall()
    # a new order with the lines of an old one: only what was added is looked at, and the old line found
    orders = lake / "raw/shopify/orders"
    duckdb.sql(f"""
        SELECT * REPLACE ('gid://shopify/Order/again' AS id) FROM '{min(orders.glob("2*.parquet"))}' LIMIT 1
    """).write_parquet(str(orders / "29991231.parquet"))
    for day in (1, 2):
        with pytest.raises(
            AssertionError, match=r"stg_shopify__order_lines: [1-9].* of its primary key \(order_line_id"
        ):
            dbt(lake, *run, as_of=moment(day))
    with duckdb.connect(str(lake / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute(count).fetchall() == before
    (orders / "29991231.parquet").unlink()
    dbt(lake, *run, as_of=moment(3))
    version, _ = notes(lake, ["stg_shopify__orders"])["stg_shopify__orders"]
    dbt(lake, *run, as_of=moment(2))
    told = notes(lake, ["stg_shopify__orders"])["stg_shopify__orders"]
    assert told == (version + 1, version + 1), "a clock that is put back builds in full"
    with duckdb.connect(str(lake / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute(count).fetchall() == before
