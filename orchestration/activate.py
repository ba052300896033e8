"""Stage four: every audience is brought in step with every tool it is declared for: `<destination>/<audience>`."""

from typing import Any

import dagster as dg

from connectors import sync
from connectors.audience import Audience, Destination
from connectors.destinations import configured
from orchestration.resources import Clock, Lakehouse
from orchestration.transform import manifest


def declared_audiences(nodes: dict[str, Any]) -> list[Audience]:
    """The audiences that dbt's manifest holds, sorted by name: every model whose meta says `audience`."""
    return sorted(
        (
            Audience(name=node["name"], description=node["description"], **node["config"]["meta"]["audience"])
            for node in nodes["nodes"].values()
            if node["resource_type"] == "model" and "audience" in node["config"].get("meta", {})
        ),
        key=lambda audience: audience.name,
    )


def sync_asset(audience: Audience, destination: Destination) -> dg.AssetsDefinition:
    """One audience at one destination: plan, apply, and what the vendor then confirms."""

    @dg.asset(
        name=audience.name,
        key_prefix=destination.name,
        deps=[["marts", mart] for mart in (audience.name, "consents", "contact_points")],
        description=audience.description,
        group_name="activate",
        kinds={destination.name},
        owners=["team:marketing"],
        pool=f"quota_{destination.name}",
        check_specs=[
            dg.AssetCheckSpec(
                "vendor_confirms",
                asset=[destination.name, audience.name],
                description="The vendor's own count is what was wanted less those who may not be reached.",
            )
        ],
    )
    def push(lakehouse: Lakehouse, clock: Clock) -> dg.MaterializeResult:
        lake = lakehouse.open()
        plan = sync.make_plan(lake, audience, destination, clock.now())
        result = sync.apply(lake, plan, destination)
        counts = {name: value for name, value in result.as_dict().items() if not isinstance(value, dict)}
        return dg.MaterializeResult(
            metadata={**counts, "blocked": result.blocked, "plan": plan.plan_id},
            check_results=[dg.AssetCheckResult(check_name="vendor_confirms", passed=result.is_in_step)],
        )

    return push


destinations = configured()
assets = [
    sync_asset(audience, destinations[name])
    for audience in declared_audiences(manifest())
    for name in audience.destinations
    if name in destinations
]
