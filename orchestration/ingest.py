"""Stage one: every stream of every configured vendor lands in the lake as `raw_<source>/<stream>`."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from connectors import extract
from connectors.sources import SOURCES
from connectors.stream import Source
from orchestration.resources import Clock, Lakehouse

# A stream that has not landed for a day and a half is late: nightly pulls may slip once, not twice.
LATE = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=36), warn_window=timedelta(hours=26))


def source_assets(source: Source) -> dg.AssetsDefinition:
    """One asset a stream, pulled in one op because the streams of an account share its quota."""

    @dg.multi_asset(
        name=f"pull_{source.name}",
        specs=[
            dg.AssetSpec(
                key=[f"raw_{source.name}", stream.name],
                description=f"{stream.name} of {source.name}, as landed.",
                group_name="ingest",
                kinds={source.name, "parquet"},
                owners=["team:data"],
                skippable=True,
                metadata={"primary key": ", ".join(stream.key), "personal fields": ", ".join(stream.personal)},
                freshness_policy=LATE,
            )
            for stream in source.streams
        ],
        can_subset=True,
        pool=f"quota_{source.name}",
    )
    def pull(context: dg.AssetExecutionContext, lakehouse: Lakehouse, clock: Clock) -> Iterator[dg.MaterializeResult]:
        wanted = [
            stream.name
            for stream in source.streams
            if dg.AssetKey([f"raw_{source.name}", stream.name]) in context.selected_asset_keys
        ]
        lake = lakehouse.open()
        failure: extract.PullFailed | None = None
        try:
            results = extract.pull(source, lake, streams=wanted, as_of=clock.now())
        except extract.PullFailed as failed:
            results, failure = failed.results, failed
        for result in results:
            yield dg.MaterializeResult(asset_key=[f"raw_{source.name}", result.stream], metadata=told(result))
        if failure is not None:
            # What landed stays and yesterday's data stands in for the rest; nobody waits for a vendor that is down.
            raise dg.Failure(description=str(failure), allow_retries=False)

    return pull


def told(result: extract.StreamResult) -> dict[str, Any]:
    """What a person wants to know of one stream's pull."""
    return {
        "dagster/row_count": result.rows,
        "rejected rows": result.rejected,
        "deleted at the vendor": result.deleted,
        "bytes": result.bytes,
        "seconds": round(result.seconds, 3),
        "requests": result.requests,
        "seconds throttled": round(result.throttled_seconds, 3),
        "bookmark": str(result.bookmark),
    }


def configured_sources() -> list[Source]:
    """The sources whose credentials are in the environment. The rest have empty tables and no asset to fail."""
    return [source for source in SOURCES if source.config.load() is not None]


assets = [source_assets(source) for source in configured_sources()]
