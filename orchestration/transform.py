"""Stage two: dbt builds every model whose inputs have changed; the rest stand as they are.

A model is built again when its own code, one of its parents, the as-of time or a lake dataset behind one of its
sources has changed. The fingerprints that decide this lie in the lake beside the marts, written after each build that
succeeded, so a killed or failed build is simply built again.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from graphlib import TopologicalSorter
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, DbtProject, dbt_assets
from packaging.version import Version

from connectors import extract
from connectors.lake import Lake
from connectors.settings import run_config
from connectors.sources import SOURCES
from orchestration.resources import PROJECT_ROOT, Clock, Lakehouse

FINGERPRINTS = "marts/fingerprints.json"
SINCE = "standing since"
LONGEST_STANDING = timedelta(hours=24)
# Data tests are chosen by name (`tests_due`); a model's unit tests would come along with it however it is selected.
TESTS = ("--indirect-selection", "empty", "--exclude-resource-type", "unit_test")

# dbt stands beside this interpreter, whether or not its environment was activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
# dbt runs in its own folder, so it is told the lake's address in full; before it parses, so that it parses once.
os.environ["KIZUNA_LAKE"] = Lake(run_config().lake).root
project = DbtProject(project_dir=PROJECT_ROOT / "dbt_project", profiles_dir=PROJECT_ROOT / "dbt_project")


def _prepare_manifest() -> None:
    """Parse the project when its manifest is missing or older than a file it was made from."""
    files = [
        path for folder in ("models", "macros", "seeds", "tests") for path in (project.project_dir / folder).rglob("*")
    ]
    newest = max(path.stat().st_mtime for path in [*files, project.project_dir / "dbt_project.yml"] if path.is_file())
    if not project.manifest_path.exists() or project.manifest_path.stat().st_mtime < newest:
        project.preparer.prepare(project)


_prepare_manifest()
translator = DagsterDbtTranslator(
    settings=DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True, enable_code_references=False)
)


def manifest() -> dict[str, Any]:
    """dbt's manifest as it stands on disk."""
    return json.loads(project.manifest_path.read_text())


def node_fingerprints(nodes: Mapping[str, Any], lake: Lake, as_of: str) -> dict[str, str]:
    """A fingerprint for every dbt model and seed: its code, its parents and, at the roots, the lake datasets it reads.

    Macros count for every model: which macro a model calls through another is not worth tracking.
    """
    macros = hashlib.sha256(
        "".join(
            macro["macro_sql"] for _, macro in sorted(nodes["macros"].items()) if macro["package_name"] == project.name
        ).encode()
    ).hexdigest()
    known: dict[str, str] = {}

    def fingerprint(unique_id: str) -> str:
        if unique_id not in known:
            if unique_id in nodes["sources"]:
                own = [lake.fingerprint(*datasets(nodes["sources"][unique_id]))]
            else:
                node = nodes["nodes"][unique_id]
                own = [
                    macros,
                    as_of,
                    node["checksum"]["checksum"],
                    json.dumps(node["config"], sort_keys=True, default=str),
                ]
            parents = sorted(fingerprint(parent) for parent in nodes["parent_map"].get(unique_id, ()))
            known[unique_id] = hashlib.sha256("\n".join([*own, *parents]).encode()).hexdigest()
        return known[unique_id]

    return {
        unique_id: fingerprint(unique_id)
        for unique_id, node in nodes["nodes"].items()
        if node["resource_type"] in ("model", "seed", "snapshot")
    }


def datasets(source: Mapping[str, Any]) -> list[str]:
    """The lake datasets behind one dbt source: one folder, all of `rejected`, or none for what dbt itself wrote."""
    schema = source["schema"]
    if schema == "previous":
        return []
    if schema == "rejected":
        return [f"rejected/{vendor.name}/{stream.name}" for vendor in SOURCES for stream in vendor.streams]
    return [f"{schema.replace('raw_', 'raw/', 1)}/{source['identifier']}"]


@dbt_assets(
    manifest=project.manifest_path,
    project=project,
    name="transform",
    dagster_dbt_translator=translator,
    pool="warehouse",
)
def transform(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, lakehouse: Lakehouse, clock: Clock
) -> Iterator[Any]:
    lake = lakehouse.open()
    for source in SOURCES:
        extract.declare_source(source, lake)
    as_of = clock.now().isoformat()
    nodes = manifest()
    now = node_fingerprints(nodes, lake, as_of)
    built = standing(lake)
    keys = {unique_id: translator.get_asset_spec(nodes, unique_id, project).key for unique_id in now}
    selected = {unique_id: key for unique_id, key in keys.items() if key in context.selected_asset_keys}
    changed = {unique_id for unique_id in selected if now[unique_id] != built.get(unique_id)}
    # Dagster wants assets in the order of their dependencies; nothing unchanged stands on anything that has changed.
    for unique_id in TopologicalSorter(nodes["parent_map"]).static_order():
        if unique_id in selected and unique_id not in changed:
            yield dg.MaterializeResult(asset_key=selected[unique_id], metadata={"unchanged": True})
    checked: set[dg.AssetCheckKey] = set()
    if changed:
        context.log.info(f"building {len(changed)} of {len(selected)} models; nothing behind the others has changed")
        # In full, because `customers` alone would also select the folder of that name.
        chosen = changed | tests_due(nodes, changed, {name for name in now if now[name] == built.get(name)})
        names = sorted("fqn:" + ".".join(nodes["nodes"][unique_id]["fqn"]) for unique_id in chosen)
        invocation = dbt.cli(
            ["build", *TESTS, "--select", " ".join(names), *clock_arguments(clock)],
            manifest=project.manifest_path,
            dagster_dbt_translator=translator,
        )
        for event in invocation.stream_raw_events():
            for told in event.to_default_asset_events(
                manifest=nodes,
                dagster_dbt_translator=translator,
                context=context,
                target_path=invocation.target_path,
                project=project,
            ):
                if isinstance(told, dg.AssetCheckResult) and told.asset_key and told.check_name:
                    checked.add(dg.AssetCheckKey(told.asset_key, told.check_name))
                yield told
        since = built.get(SINCE) or datetime.now(UTC).isoformat()
        lake.write_json(FINGERPRINTS, built | {unique_id: now[unique_id] for unique_id in changed} | {SINCE: since})
    # A fingerprint is only written when every test has passed, so the checks of what stands have passed too.
    unchanged = {key for unique_id, key in selected.items() if unique_id not in changed}
    for check in context.selected_asset_check_keys - checked:
        if check.asset_key in unchanged:
            yield dg.AssetCheckResult(
                passed=True, asset_key=check.asset_key, check_name=check.name, metadata={"unchanged": True}
            )


def tests_due(nodes: Mapping[str, Any], changed: set[str], standing: set[str]) -> set[str]:
    """The data tests of what is built now, but those that need a model of a later part of the graph: they run there.

    dbt's own `buildable` would leave out a test that also reads a model which an earlier part has built.
    """
    ready = changed | standing | set(nodes["sources"])
    return {
        unique_id
        for unique_id, node in nodes["nodes"].items()
        if node["resource_type"] == "test"
        and ready.issuperset(nodes["parent_map"][unique_id])
        and not changed.isdisjoint(nodes["parent_map"][unique_id])
    }


def standing(lake: Lake) -> dict[str, str]:
    """The fingerprints of the models that stand: none when the warehouse file is gone or they are a day old.

    Guards read a mart's age from its file by the machine's clock, and so does this.
    """
    if not Path(warehouse_path(lake)).exists() or not lake.exists(FINGERPRINTS):
        return {}
    built: dict[str, str] = lake.read_json(FINGERPRINTS)
    return built if datetime.now(UTC) - datetime.fromisoformat(built[SINCE]) < LONGEST_STANDING else {}


def clock_arguments(clock: Clock) -> list[str]:
    """What tells dbt the time where the environment does not; a var that changes makes dbt parse everything again."""
    return (
        []
        if clock.as_of == os.environ.get("KIZUNA_AS_OF")
        else ["--vars", json.dumps({"as_of": clock.now().isoformat()})]
    )


def warehouse_path(lake: Lake) -> str:
    """The warehouse file: the steps between the marts. It can be deleted at any time; the next build makes it again."""
    return os.environ.get("KIZUNA_WAREHOUSE") or lake.path("warehouse.duckdb")


class Dbt(DbtCliResource):
    """dbt's command line without what dagster-dbt does beside it for metadata that nobody here asks for.

    For every call it would start dbt once more to learn its version, and read all macros into a second adapter: a
    quarter of what a daily run of a small shop took outside dbt.
    """

    @property
    def _cli_version(self) -> Version:
        return Version(metadata.version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:
        return None


def dbt_resource() -> DbtCliResource:
    """dbt as Dagster runs it."""
    return Dbt(project_dir=project)  # type: ignore[arg-type]
