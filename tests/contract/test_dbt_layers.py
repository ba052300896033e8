"""Every model keeps the promises: layers point forward, sources are read in staging, grain and key are stated."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.destinations import DESTINATIONS
from tests.dbt_build import PROJECT, dbt

# The flow. A model may read what stands left of it, or its own layer.
LAYERS = ["staging", "identity", "customers", "consent", "messages", "advertising", "journeys", "features", "profiles"]
LAYERS += ["segments", "membership", "attribution", "kpis", "reconciliation", "audiences"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    lake = tmp_path_factory.mktemp("parse")
    dbt(lake, "parse", "--no-partial-parse", "--warn-error-options", '{"error": ["Deprecations"]}')
    return json.loads((lake / ".dbt" / "target" / "manifest.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def models(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}


def layer(node: dict[str, Any]) -> str:
    return str(node["fqn"][1])


def is_step(node: dict[str, Any]) -> bool:
    return layer(node) in ("staging", "segments") or "steps" in node["fqn"]


def test_folders_are_the_known_layers(models: dict[str, dict[str, Any]]) -> None:
    assert {layer(node) for node in models.values()} == set(LAYERS)


def test_layers_only_point_forward(models: dict[str, dict[str, Any]]) -> None:
    backwards = [
        f"{node['name']} ({layer(node)}) reads {models[parent]['name']} ({layer(models[parent])})"
        for node in models.values()
        for parent in node["depends_on"]["nodes"]
        if parent in models and LAYERS.index(layer(models[parent])) > LAYERS.index(layer(node))
    ]
    assert not backwards


def test_sources_are_read_in_staging_only(models: dict[str, dict[str, Any]]) -> None:
    readers = [
        node["name"]
        for node in models.values()
        if layer(node) != "staging" and any(parent.startswith("source.") for parent in node["depends_on"]["nodes"])
    ]
    assert not readers


def test_staging_is_named_after_its_source(models: dict[str, dict[str, Any]]) -> None:
    wrong = [node["name"] for node in models.values() if (layer(node) == "staging") != node["name"].startswith("stg_")]
    assert not wrong


def test_every_description_starts_with_the_grain(models: dict[str, dict[str, Any]]) -> None:
    without = [node["name"] for node in models.values() if not node["description"].startswith("One row per ")]
    assert not without


def test_every_source_table_is_described(manifest: dict[str, Any]) -> None:
    assert not [node["name"] for node in manifest["sources"].values() if not node["description"]]


# Bags of statements: the same finding may be stated by two records alike, and that is no fault.
WITHOUT_KEY = {
    "stg_rejected__rows",
    "refused_records",
    "consent_statements",
    "record_identifiers",
    "identity_edges",
    "guarded_identifiers",
    "journey_signals",
    # of its rows journey_events keeps those that change the stage, under the same key, and holds to it
    "journey_moments",
}


def test_every_model_names_its_primary_key(models: dict[str, dict[str, Any]]) -> None:
    without = {
        node["name"]
        for node in models.values()
        if "primary_key" not in {constraint["type"] for constraint in node["constraints"]}
    }
    assert without == WITHOUT_KEY


def test_every_mart_has_an_enforced_contract(models: dict[str, dict[str, Any]]) -> None:
    marts = [node for node in models.values() if not is_step(node)]
    assert len(marts) >= 19
    loose = [node["name"] for node in marts if not node["config"]["contract"]["enforced"]]
    assert not loose
    assert not [node["name"] for node in marts if not all(column["data_type"] for column in node["columns"].values())]


def test_a_marts_address_is_its_folder_in_the_lake(models: dict[str, dict[str, Any]]) -> None:
    for node in models.values():
        if is_step(node):
            # what the build before has left is read when it is asked for: a table would stand when only some are built
            is_before = node["name"].startswith("stg_previous__") or node["name"] == "members_before"
            is_view = is_before or layer(node) == "segments" or node["name"] in ("journey_signals", "journey_moments")
            kind = "view" if is_view else "kept" if node["config"].get("kept_by") else "table"
            assert (node["schema"] != "marts", node["config"]["materialized"]) == (True, kind), node["name"]
        else:
            assert (node["schema"], node["config"]["materialized"]) == ("marts", "mart"), node["name"]


# What an analyst should look at and what may be right as it is.
SOFT = {"assert_no_identity_alarm", "assert_seeds_name_known_records"}


def test_every_test_is_severe(manifest: dict[str, Any]) -> None:
    # Severity error means that nobody is pushed today; a softer one has to say why.
    soft = [
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["config"]["severity"].lower() != "error"
    ]
    assert set(soft) <= SOFT


def test_no_model_asks_the_engine_for_the_time() -> None:
    asking = [
        path.name
        for folder in ("models", "macros", "tests")
        for path in (PROJECT / folder).rglob("*.sql")
        if any(word in path.read_text("utf-8").lower() for word in ("current_timestamp", "current_date", "now()"))
    ]
    assert not asking


def test_no_model_names_an_engine(models: dict[str, dict[str, Any]]) -> None:
    # Two models have one implementation an engine, in folders named for it; all others are portable.
    naming = [
        path.name
        for path in (PROJECT / "models").rglob("*.sql")
        if path.parent.name not in ("duckdb", "spark") and "target." in path.read_text("utf-8")
    ]
    assert not naming


def test_every_audience_says_where_it_goes(models: dict[str, dict[str, Any]]) -> None:
    audiences = {node["name"]: node for node in models.values() if layer(node) == "audiences"}
    assert {"abandoned_cart", "win_back", "vip", "likely_to_buy", "new_customer_welcome"} <= set(audiences)
    for name, node in audiences.items():
        meta = node["config"]["meta"]["audience"]
        assert set(meta["destinations"]) <= set(DESTINATIONS) and meta["purpose"] == "marketing", name
        assert set(meta["fields"].values()) <= set(node["columns"]), name
        # Mailchimp's merge fields have ten characters at most
        assert all(len(field) <= 10 and field.isupper() for field in meta["fields"]), name
        assert 0 < meta["maximum_removed_share"] <= 1, name


def test_every_segment_is_in_the_list_that_gathers_them(models: dict[str, dict[str, Any]]) -> None:
    variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    segments = {node["name"]: set(node["columns"]) for node in models.values() if layer(node) == "segments"}
    assert set(variables["segments"]) == {name for name, columns in segments.items() if columns == {"customer_id"}}
    families = {name for name, columns in segments.items() if columns == {"customer_id", "part"}}
    assert set(variables["segment_families"]) == families
    assert len(segments) == len(variables["segments"]) + len(families)


def test_one_implementation_an_engine_has_the_same_name() -> None:
    folder = PROJECT / "models" / "identity" / "steps"
    names = {engine: {Path(path).stem for path in (folder / engine).iterdir()} for engine in ("duckdb", "spark")}
    assert names["duckdb"] == names["spark"]
