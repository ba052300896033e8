"""Stage three: models are trained on closed windows, judged, and score every customer: `scores/<model>`."""

import time
from typing import Any

import dagster as dg

import ml
from connectors.lake import Lake
from orchestration.resources import Clock, Lakehouse


def score_assets(model: ml.Model) -> dg.AssetsDefinition:
    """The scores of one model: trained where the data has changed, then whatever model is in use scores everybody."""

    @dg.asset(
        name=model.name,
        key_prefix="scores",
        deps=[["marts", table] for table in model.snapshots],
        description=model.description,
        group_name="score",
        kinds={"scikitlearn", "parquet"},
        owners=["team:data"],
        check_specs=[
            dg.AssetCheckSpec(
                "model_in_use",
                asset=["scores", model.name],
                description="A model that beats the recency rule is in use; without one there are no scores.",
            )
        ],
    )
    def scores(context: dg.AssetExecutionContext, lakehouse: Lakehouse, clock: Clock) -> dg.MaterializeResult:
        lake = lakehouse.open()
        dataset = f"scores/{model.name}"
        inputs = lake.fingerprint(*(f"marts/{table}" for table in model.snapshots))
        state = f"{dataset}/state.json"
        if lake.exists(state) and lake.read_json(state).get("inputs") == inputs and lake.files(dataset):
            context.log.info("the snapshots are the ones that were scored last; nothing to do")
            return outcome(lake, model, {"unchanged": True})
        snapshots = {table: lake.path("marts", table) for table in model.snapshots}
        began = time.monotonic()
        card = ml.train(model, snapshots, lake.path("models"))
        with lake.commit(dataset, "data") as path:
            scored = ml.score(model, snapshots, lake.path("models"), path)
        lake.write_json(f"{dataset}/card.json", card.to_json())
        lake.write_json(state, {"inputs": inputs})
        seconds = round(time.monotonic() - began, 2)
        return outcome(lake, model, {"dagster/row_count": scored.rows, "seconds": seconds})

    return scores


def outcome(lake: Lake, model: ml.Model, metadata: dict[str, Any]) -> dg.MaterializeResult:
    """The materialisation with the card's figures, and the check that somebody vouches for the model."""
    card = lake.read_json(f"scores/{model.name}/card.json")
    return dg.MaterializeResult(
        metadata={**metadata, "version": card["version"], "card": dg.MetadataValue.json(card)},
        check_results=[
            dg.AssetCheckResult(
                check_name="model_in_use", passed=bool(card["in_use_passes"]), metadata={"reason": str(card["reason"])}
            )
        ],
    )


PEOPLE = ("marts/people_records", "marts/identity_edges", "marts/decided_pairs")


@dg.asset(
    name="identity_matches",
    key_prefix="scores",
    deps=[dataset.split("/") for dataset in PEOPLE],
    description="One row per pair of person records that matching linked where no identifier does, or would not.",
    group_name="score",
    kinds={"parquet"},
    owners=["team:data"],
)
def identity_matches(context: dg.AssetExecutionContext, lakehouse: Lakehouse) -> dg.MaterializeResult:
    """Probable matches over the certain clusters, where records, edges or decisions have changed."""
    # Splink takes seconds to import, and Dagster imports this file for every command.
    from ml import matching

    lake = lakehouse.open()
    dataset = "scores/identity_matches"
    inputs = lake.fingerprint(*PEOPLE)
    state = f"{dataset}/state.json"
    if lake.exists(state) and lake.read_json(state).get("inputs") == inputs and lake.files(dataset):
        context.log.info("the records are the ones that were matched last; nothing to do")
        return dg.MaterializeResult(metadata={"unchanged": True})
    people, edges, decisions = (lake.path(mart, "data.parquet") for mart in PEOPLE)
    began = time.monotonic()
    with lake.commit(dataset, "data") as path:
        counts = matching.match_files(people, edges, decisions, path)
    lake.write_json(state, {"inputs": inputs})
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": sum(counts.values()),
            **counts,
            "seconds": round(time.monotonic() - began, 2),
        }
    )


@dg.asset(
    name="behaviour_clusters",
    key_prefix="scores",
    deps=[["marts", "customer_snapshots"]],
    description="One row per customer with habits enough: the cluster of alike customers they are in, by name.",
    group_name="score",
    kinds={"scikitlearn", "parquet"},
    owners=["team:data"],
)
def behaviour_clusters(context: dg.AssetExecutionContext, lakehouse: Lakehouse) -> dg.MaterializeResult:
    """Fitted once a quarter; in between every customer is put into the cluster their newest habits are nearest to."""
    lake = lakehouse.open()
    dataset, snapshots = "scores/behaviour_clusters", "marts/customer_snapshots"
    inputs = lake.fingerprint(snapshots)
    state = f"{dataset}/state.json"
    if lake.exists(state) and lake.read_json(state).get("inputs") == inputs and lake.files(dataset):
        context.log.info("the snapshots are the ones that were clustered last; nothing to do")
        return dg.MaterializeResult(metadata={"unchanged": True})
    began = time.monotonic()
    with lake.commit(dataset, "data") as path:
        card = ml.cluster(lake.path(snapshots), lake.path("models"), path)
    lake.write_json(f"{dataset}/card.json", card.to_json())
    lake.write_json(state, {"inputs": inputs})
    seconds = round(time.monotonic() - began, 2)
    names = ", ".join(found.name for found in card.clusters)
    return dg.MaterializeResult(
        metadata={
            "version": card.version,
            "seconds": seconds,
            "clusters": names,
            "card": dg.MetadataValue.json(card.to_json()),
        }
    )


assets = [*(score_assets(model) for model in ml.MODELS.values()), behaviour_clusters, identity_matches]
