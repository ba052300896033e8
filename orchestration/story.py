"""What the demo tells at its end: figures from the lake, held against the sandbox's truth, as JSON and as a page."""

from typing import Any

import ml
from connectors.lake import Lake
from connectors.sandbox.truth import pairwise
from orchestration.sandbox import SandboxProcess


def tell(
    lake: Lake, sandbox: SandboxProcess, pulled: dict[str, Any], syncs: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """The content of `lake/demo.json` but for time and memory.

    `syncs[...]["confirmed"]` is what the connectors asked of the vendor's own API; `held` is the sandbox's truth, which
    no connector can see.
    """
    for name, counts in syncs.items():
        destination, audience = name.split(".")
        counts["held"] = len(sandbox.ask(f"members/{destination}/{audience}"))
    with lake.connect() as connection:
        marts = [lake.path("marts/customers/data.parquet")]
        customers = connection.execute("select count(*) from read_parquet(?)", marts).fetchall()
    return {
        "pulled": pulled,
        "customers": customers[0][0],
        "identity": pairwise(lake.path("marts/identity_clusters/data.parquet"), sandbox.truth()),
        "models": {name: figures(lake, name) for name in ml.MODELS},
        "syncs": syncs,
    }


def figures(lake: Lake, model: str) -> dict[str, Any]:
    """A model's measures and the recency rule's, from its card."""
    card = lake.read_json(f"scores/{model}/card.json")
    return {
        "version": card["version"],
        "promoted": card["promoted"],
        "window": card["window"],
        **{
            target: {"model": measured["metrics"], "recency_rule": measured["recency_rule"]}
            for target, measured in card["targets"].items()
        },
    }


def page(told: dict[str, Any], lake: Lake) -> str:
    """The same figures as a page for a terminal."""
    identity, seconds = told["identity"], told["seconds"]
    lines = ["", "What happened", ""]
    rows = sum(stream["rows"] for stream in told["pulled"].values())
    lines.append(f"  pulled      {rows:,} rows in {seconds['ingest']:.0f} s from {len(told['pulled'])} streams")
    lines.append(
        f"  identity    {told['customers']:,} customers; against the truth: precision {identity['precision']:.4f}, "
        f"recall {identity['recall']:.4f}, F1 {identity['f1']:.4f}"
    )
    for model, card in told["models"].items():
        for target, measured in card.items():
            if isinstance(measured, dict) and "recency_rule" in measured:
                ours, rule = measured["model"], measured["recency_rule"]
                lines.append(
                    f"  {model + ' ' + target:<24} PR-AUC {ours['pr_auc']:.3f} (recency rule {rule['pr_auc']:.3f})   "
                    f"AUC {ours['auc']:.3f} ({rule['auc']:.3f})   lift in the top tenth {ours['lift_top_tenth']:.2f} "
                    f"({rule['lift_top_tenth']:.2f})   ECE {ours['ece']:.3f}"
                )
    columns = ("wanted", "blocked", "added", "removed", "updated", "confirmed", "held")
    lines += ["", f"  {'audience':<36}" + "".join(f"{column:>10}" for column in columns)]
    for name, sync in sorted(told["syncs"].items()):
        shown = sync | {"blocked": sum(sync["blocked"].values())}
        lines.append(f"  {name:<36}" + "".join(f"{shown[column]:>10,}" for column in columns))
    reasons: dict[str, int] = {}
    for sync in told["syncs"].values():
        for reason, count in sync["blocked"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    told_reasons = ", ".join(
        f"{reason} {count:,}" for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1])
    )
    lines += ["", f"  blocked because: {told_reasons or 'nobody was'}"]
    stages = "  ".join(f"{stage} {seconds[stage]:.0f} s" for stage in ("ingest", "transform", "score", "activate"))
    lines += ["", f"  the loop took {seconds['loop']:.0f} s ({stages}) and at most {told['peak_memory_mib']:,} MiB"]
    lines += [f"  FAILED      {failure}" for failure in told["failures"]]
    lines += [
        "",
        "Next",
        "",
        "  make demo    again: only changes are read, nothing is sent",
        "  make ui      the same assets in Dagster",
        f"  look at      {lake.path('demo.json')}",
        f"               {lake.path('marts/customer_360/data.parquet')}",
        f"               {lake.path('scores/churn/card.json')}",
    ]
    return "\n".join(lines)
