"""Dagster on our definitions: they load anywhere, assets say who they are, one failure costs no more than it must."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ml
from connectors.destinations import DESTINATIONS
from connectors.lake import Lake
from connectors.sandbox.server import Sandbox
from connectors.sources import SOURCES
from tests.pipeline import ROOT, Pipeline
from tests.raw_lake import write_rows

AS_OF = "2026-10-18T15:00:00+00:00"
RUNTIME = ("PATH", "LANG", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")

LISTING = """
import json
from orchestration.definitions import defs
graph = defs.resolve_asset_graph()
nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
print(json.dumps({
    "assets": [
        {"key": "/".join(node.key.path), "runs": node.is_executable, "group": node.group_name,
         "owners": list(node.owners), "kinds": sorted(node.kinds), "description": node.description or "",
         "checks": len(node.check_keys)}
        for node in nodes
    ],
    "jobs": [job.name for job in defs.jobs],
    "schedules": [[plan.job_name, plan.cron_schedule, plan.execution_timezone] for plan in defs.schedules],
    "blocking": sorted(
        f"{'/'.join(key.asset_key.path)} {key.name}"
        for key in graph.asset_check_keys
        if graph.get_check_spec(key).blocking
    ),
}))
"""


def listing(home: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What the definitions hold when a fresh process loads them with these variables and an empty home."""
    home.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in RUNTIME if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", LISTING],
        cwd=ROOT,
        env=kept | {"HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


PARTS = """
import json
from dagster._core.definitions.dependency import NodeHandle
from dagster._core.execution.api import create_execution_plan
from orchestration.definitions import defs
from orchestration.transform import manifest, project, tests_due, translator
job, nodes = defs.resolve_job_def("daily"), manifest()
ids = {
    translator.get_asset_spec(nodes, unique_id, project).key: unique_id
    for unique_id, node in nodes["nodes"].items() if node["resource_type"] in ("model", "seed")
}
standing, due = set(), []
for step in create_execution_plan(job).get_steps_to_execute_in_topo_order():
    if step.key.startswith("transform"):
        part = {ids[key] for key in job.asset_layer.get_assets_def_for_node(NodeHandle(step.key, None)).keys}
        due.append(sorted(tests_due(nodes, part, standing)))
        standing |= part
print(json.dumps({
    "due": due, "tests": sorted(name for name, node in nodes["nodes"].items() if node["resource_type"] == "test"),
    "models": len(standing), "all_models": len(ids),
}))
"""


def test_every_data_test_runs_in_some_part_of_the_build(tmp_path: Path) -> None:
    found = json.loads(
        subprocess.run([sys.executable, "-c", PARTS], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    )
    assert len(found["due"]) > 1, "dbt no longer runs in parts: this test has nothing to check"
    assert found["models"] == found["all_models"]
    # A test may run again in a later part, when another of its models is built there; none may be left out.
    assert {name for part in found["due"] for name in part} == set(found["tests"])


@pytest.fixture(scope="module")
def unconfigured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    loaded = listing(tmp_path_factory.mktemp("home"), {})
    assert loaded.returncode == 0, loaded.stderr[-3000:]
    return json.loads(loaded.stdout)


@pytest.fixture(scope="module")
def configured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same with every vendor's variables set; nothing listens where they point."""
    from connectors.sandbox.server import environment

    home = tmp_path_factory.mktemp("home")
    loaded = listing(home, environment("http://127.0.0.1:9", home))
    assert loaded.returncode == 0, loaded.stderr[-3000:]
    return json.loads(loaded.stdout)


SCORES = (*ml.MODELS, "behaviour_clusters", "identity_matches")


def addresses(listed: dict[str, Any], group: str) -> set[str]:
    return {asset["key"] for asset in listed["assets"] if asset["runs"] and asset["group"] == group}


def models(*besides: str) -> list[dict[str, Any]]:
    manifest = json.loads((ROOT / "dbt_project/target/manifest.json").read_text("utf-8"))
    return [node for node in manifest["nodes"].values() if node["resource_type"] in ("model", *besides)]


# ── what is there ──


def test_without_any_variable_everything_loads_and_no_vendor_has_an_asset(unconfigured):
    assert addresses(unconfigured, "ingest") == set()
    assert addresses(unconfigured, "activate") == set()
    assert addresses(unconfigured, "score") == {f"scores/{name}" for name in SCORES}
    assert addresses(unconfigured, "transform")
    assert unconfigured["jobs"] == ["daily"]


def test_asset_keys_are_addresses(configured):
    streams = {f"raw_{source.name}/{stream.name}" for source in SOURCES for stream in source.streams}
    assert addresses(configured, "ingest") == streams
    assert addresses(configured, "transform") == {f"{node['schema']}/{node['name']}" for node in models("seed")}
    assert addresses(configured, "score") == {f"scores/{name}" for name in SCORES}
    pushed = {
        f"{destination}/{node['name']}"
        for node in models()
        for destination in node["config"]["meta"].get("audience", {}).get("destinations", [])
    }
    assert pushed and addresses(configured, "activate") == pushed
    assert {key.split("/")[0] for key in pushed} == set(DESTINATIONS)


def test_what_dbt_reads_is_what_ingest_lands_and_score_writes(configured):
    manifest = json.loads((ROOT / "dbt_project/target/manifest.json").read_text("utf-8"))
    read = {f"{s['schema']}/{s['identifier']}" for s in manifest["sources"].values()}
    known = {asset["key"] for asset in configured["assets"] if asset["runs"]}
    # What the build before wrote and what landing set aside have no asset of their own.
    assert {key for key in read - known if not key.startswith(("previous/", "rejected/"))} == set()


def test_every_asset_says_what_it_is_and_whose(configured):
    for asset in configured["assets"]:
        if asset["runs"]:
            assert asset["owners"], f"{asset['key']} has no owner"
            assert asset["kinds"], f"{asset['key']} has no kind"
            assert asset["group"] in ("ingest", "transform", "score", "activate"), asset
            assert len(asset["description"].split()) >= 3, f"{asset['key']} is not described"


def test_every_job_has_a_schedule_in_shop_time_and_pulls_come_first(configured):
    schedules = {job: (cron, zone) for job, cron, zone in configured["schedules"]}
    assert set(schedules) == set(configured["jobs"]) == {"daily", *(f"ingest_{source.name}" for source in SOURCES)}
    assert {zone for _, zone in schedules.values()} == {"Asia/Tokyo"}
    hours = {job: int(cron.split()[1]) for job, (cron, _) in schedules.items()}
    assert all(hour < hours["daily"] for job, hour in hours.items() if job != "daily")


def test_every_push_is_checked_against_the_vendor_and_every_mart_has_blocking_checks(configured):
    for key in addresses(configured, "activate"):
        assert next(asset for asset in configured["assets"] if asset["key"] == key)["checks"] == 1
    blocked = {line.split()[0] for line in configured["blocking"]}
    audiences = {f"marts/{key.split('/')[1]}" for key in addresses(configured, "activate")}
    assert audiences | {"marts/consents", "marts/contact_points"} <= blocked


# ── one failure costs no more than it must ──


def test_a_stream_that_fails_leaves_the_others_of_its_vendor(sandbox: Sandbox, tmp_path: Path, built: Pipeline):
    variables = sandbox.environment() | {"KIZUNA_RETRY_SECONDS": "1"}
    pipeline = Pipeline(Lake(tmp_path / "lake"), built.home, variables, AS_OF)
    sandbox.fault("hubspot", "500_before", path="deals", times=10_000)
    run = pipeline.pull("hubspot")
    assert set(run.landed) == {"raw_hubspot/contacts", "raw_hubspot/companies", "raw_hubspot/consents"}
    assert "hubspot.deals" in run.failed_steps["pull_hubspot"]


# ── only what has changed is built ──


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A lake of a shop without any vendor, built once: every table is there and empty."""
    folder = tmp_path_factory.mktemp("built")
    pipeline = Pipeline(Lake(folder / "lake"), folder / "home", {}, AS_OF)
    day = pipeline.daily()
    assert day.is_success, day.failed_steps
    assert day.built == {f"{node['schema']}/{node['name']}" for node in models()}
    yield pipeline


def test_no_mart_of_an_empty_shop_holds_an_invented_row(built: Pipeline):
    """dbt-duckdb's own external files hold a row of nulls when a model is empty; ours hold none."""
    marts = {node["name"] for node in models() if node["config"]["materialized"] == "mart"}
    rows = {name: pq.read_metadata(built.lake.path("marts", name, "data.parquet")).num_rows for name in marts}
    # one row a planned persona and trait, and one a channel: the plan and the list are there before anybody buys
    listed = {"persona_drift": 4 * 5, "channel_removal_effects": 7}
    assert len(rows) > 10 and {name: count for name, count in rows.items() if count} == listed
    assert not list(Path(built.lake.path("_writing")).iterdir())


def test_what_has_not_changed_is_not_built_again(built: Pipeline):
    marts = {file: os.stat(file).st_mtime_ns for file in Path(built.lake.root).glob("marts/*/data.parquet")}
    day = built.daily()
    assert day.is_success and day.built == set()
    assert marts == {file: os.stat(file).st_mtime_ns for file in marts}


def test_a_changed_input_rebuilds_exactly_what_stands_on_it(built: Pipeline):
    write_rows(Path(built.lake.root), "hubspot/deals", [{"id": "1", "createdAt": "2026-10-01 00:00:00"}])
    day = built.daily()
    assert day.is_success, day.failed_steps
    manifest = json.loads((ROOT / "dbt_project/target/manifest.json").read_text("utf-8"))
    wanted, waiting = set(), ["source.kizuna.raw_hubspot.deals"]
    while waiting:
        for child in manifest["child_map"][waiting.pop()]:
            node = manifest["nodes"].get(child, {})
            if node.get("resource_type") == "model":
                wanted.add(f"{node['schema']}/{node['name']}")
                waiting.append(child)
    assert day.built == wanted


def test_a_failed_data_test_stops_every_push(built: Pipeline, sandbox: Sandbox):
    """The same line twice in one basket: lines no longer add up to the subtotal, so nobody is pushed."""
    pipeline = Pipeline(built.lake, built.home, sandbox.environment(), AS_OF)
    spoil_orders(pipeline.lake)
    day = pipeline.daily()
    assert not day.is_success
    assert "assert_net_sales_match_the_shop" in day.failed_checks
    assert not day.pushes
    assert pipeline.definitions.activate.assets
    assert not [request for request in sandbox.requests.last() if request["vendor"] in ("mailchimp", "meta")]


def spoil_orders(lake: Lake) -> None:
    money = {"shopMoney": {"amount": 100, "currencyCode": "USD"}}
    line = {"id": "gid://shopify/LineItem/1", "sku": "1", "title": "milk", "quantity": 1, "currentQuantity": 1}
    line |= {"originalUnitPriceSet": money, "discountedUnitPriceSet": money}
    order = {
        "id": "gid://shopify/Order/1",
        "name": "#1",
        "createdAt": "2026-10-01 00:00:00",
        "updatedAt": "2026-10-01 00:00:00",
        "test": False,
        "email": "somebody@shop.example",
        "currencyCode": "USD",
        "totalPriceSet": money,
        "subtotalPriceSet": money,
        "lineItems": [line, line | {"id": "gid://shopify/LineItem/2"}],
        "refunds": [],
    }
    write_rows(Path(lake.root), "shopify/orders", [order])


# ── what a kill leaves in Dagster's books ──

KILLED_RUN = """
import os, signal, sys
import dagster as dg
from orchestration import runs

@dg.asset(pool="warehouse")
def table():
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)

job = dg.Definitions(
    assets=[table], jobs=[dg.define_asset_job("build")], executor=dg.in_process_executor
).resolve_job_def("build")
instance = dg.DagsterInstance.get()
print(runs.execute(job, instance).success, len(instance.event_log_storage.get_concurrency_run_ids()))
print(sorted(run.status.value for run in instance.get_runs()))
"""


def test_a_killed_run_gives_back_its_place_in_the_pool(tmp_path: Path):
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text("utf-8"))
    environment = os.environ | {"DAGSTER_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def run(word: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED_RUN, word]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    assert run("kill").returncode == -9
    after = run("live")
    assert after.stdout.splitlines() == ["True 0", "['FAILURE', 'SUCCESS']"], after.stderr[-2000:]


def test_schemas_of_an_unconfigured_shop_are_those_the_sources_declare(built: Pipeline):
    for source in SOURCES:
        for stream in source.streams:
            schema: pa.Schema = pq.read_schema(built.lake.path("raw", source.name, stream.name, "schema.parquet"))
            assert set(stream.types) <= set(schema.names)
