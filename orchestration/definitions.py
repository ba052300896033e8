"""Everything Dagster needs to know, in one place: the assets of the four stages, resources, jobs and schedules."""

import os

import dagster as dg

from connectors.settings import run_config
from orchestration import activate, ingest, score, transform
from orchestration.progress import progress
from orchestration.resources import Clock, Lakehouse

run = run_config()
SHOP_TIME = "Asia/Tokyo"

# One job a vendor: a vendor that is down leaves its own job red and yesterday's data in place, and blocks nothing else.
ingest_jobs = [
    dg.define_asset_job(
        f"ingest_{source.name}",
        selection=dg.AssetSelection.assets(*assets.keys),
        description=f"Pull what has changed at {source.name}.",
    )
    for source, assets in zip(ingest.configured_sources(), ingest.assets, strict=True)
]
daily = dg.define_asset_job(
    "daily",
    selection=dg.AssetSelection.assets(*transform.transform.keys)
    | dg.AssetSelection.groups("score")
    | dg.AssetSelection.groups("activate"),
    description="From the landed data to the vendors: build, score, push.",
)

# Pulls run while the shop is asleep; the build follows at a fixed time and takes what has landed.
schedules = [
    *(dg.ScheduleDefinition(job=job, cron_schedule="0 2 * * *", execution_timezone=SHOP_TIME) for job in ingest_jobs),
    dg.ScheduleDefinition(job=daily, cron_schedule="0 4 * * *", execution_timezone=SHOP_TIME),
]

defs = dg.Definitions(
    assets=[*ingest.assets, transform.transform, *score.assets, *activate.assets],
    jobs=[*ingest_jobs, daily],
    schedules=schedules,
    resources={
        "lakehouse": Lakehouse(root=run.lake),
        "clock": Clock(as_of=os.environ.get("KIZUNA_AS_OF", "")),
        "dbt": transform.dbt_resource(),
    },
    executor=dg.in_process_executor,
    loggers={"progress": progress},
)
