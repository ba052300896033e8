"""Pulling a source: where the lake stands, what the vendor has since, landing it, and seeing what was deleted.

The promise: reading is at least once, landing is exactly once. Bookmarks come from the landed rows, one stream's
failure costs no other stream anything, and a kill at any moment leaves whole commits from which the next pull goes on.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors import settings
from connectors.http import VendorError
from connectors.lake import Lake
from connectors.landing import VERSION_KEY, Landing, declare
from connectors.shape import literal, quoted
from connectors.stream import Bookmark, Source, Stream, Vendor
from connectors.sweep import sweep

logger = logging.getLogger(__name__)

# A row dated further ahead than this is a typing error and must not push the bookmark past rows still to come.
FUTURE_TOLERANCE = timedelta(days=1)


@dataclass
class StreamResult:
    """What pulling one stream took and brought. `rows` are newly landed ones, `deleted` tombstones among them."""

    source: str
    stream: str
    rows: int = 0
    rejected: int = 0
    deleted: int = 0
    bytes: int = 0
    seconds: float = 0.0
    requests: int = 0
    throttled_seconds: float = 0.0
    bookmark: datetime | None = None
    commits: list[str] = field(default_factory=list)


class PullFailed(VendorError):
    """Some streams failed; `results` holds the others, which have landed, `errors` the failures by stream."""

    def __init__(self, source: str, results: list[StreamResult], errors: dict[str, VendorError]) -> None:
        told = "; ".join(f"{source}.{stream}: {error}" for stream, error in errors.items())
        super().__init__(f"{len(errors)} of {len(errors) + len(results)} streams failed: {told}")
        self.results, self.errors = results, errors


def declare_source(source: Source, lake: Lake) -> None:
    """Give every stream its schema file, so that even a vendor that is not configured is a set of empty tables."""
    declare(source.name, source.streams, lake)


def pull(
    source: Source,
    lake: Lake,
    *,
    config: Any = None,
    streams: Sequence[str] | None = None,
    as_of: datetime | None = None,
    sweep_every: timedelta | None = None,
) -> list[StreamResult]:
    """Read what has changed and land it; nothing for a vendor that is not configured.

    `config` defaults to the environment's, `streams` to all, `as_of` to the pipeline's clock, `sweep_every` to the
    stream's own interval (zero: sweep now). Raises SettingsError before anything is read, PullFailed after everything
    that could be read has landed.
    """
    declare_source(source, lake)
    config = source.config.load() if config is None else config
    if config is None:
        return []
    lake.sweep()
    vendor = source.open(config)
    as_of = as_of or settings.as_of()
    results: list[StreamResult] = []
    errors: dict[str, VendorError] = {}
    for name in streams if streams is not None else [stream.name for stream in source.streams]:
        stream = source.stream(name)
        try:
            results.append(_pull_stream(source.name, stream, vendor, lake, as_of, sweep_every))
        except VendorError as error:
            logger.warning("%s.%s: %s", source.name, name, error)
            errors[name] = error
    if errors:
        raise PullFailed(source.name, results, errors)
    return results


def _pull_stream(
    source: str, stream: Stream, vendor: Vendor, lake: Lake, as_of: datetime, sweep_every: timedelta | None
) -> StreamResult:
    started, before = time.monotonic(), vendor.session.snapshot()
    result = StreamResult(source, stream.name)
    start = bookmark(source, stream, lake, as_of)
    interval = _sweep_interval(stream, sweep_every)
    swept, stamp = f"raw/{source}/{stream.name}/swept.json", {"swept_at": as_of.astimezone(UTC).isoformat()}
    # A full read sees every key there is.
    is_full = stream.partition_by is None and start.since is None
    with Landing(source, stream, lake) as landing:
        for page in vendor.read(stream, start):
            landing.add(page)
        if is_full and interval is not None:
            # Said before the rows land: killed between the two, the next pull is a full one again. The other way round
            # it would sweep, and bring what no full read brings: what was archived before we ever looked.
            lake.write_json(swept, stamp)
        landed = landing.land()
    result.rows, result.rejected, result.commits = landed.rows, landed.rejected, landed.commits
    if stream.provisional:
        _drop_provisional(source, stream, lake)
    if interval is not None and not is_full and _is_due(lake, swept, as_of, interval):
        found = sweep(source, stream, vendor, lake)
        result.rows += found.rows
        result.deleted += found.deleted
        result.rejected += found.rejected
        result.commits += found.commits
        lake.write_json(swept, stamp)
    result.bookmark = bookmark(source, stream, lake, as_of).since
    spent = vendor.session.snapshot().since(before)
    result.requests, result.bytes = spent.requests, spent.bytes
    result.throttled_seconds = spent.throttled_seconds
    result.seconds = time.monotonic() - started
    return result


def bookmark(source: str, stream: Stream, lake: Lake, as_of: datetime) -> Bookmark:
    """Where the next read of a stream starts, from what has landed.

    The largest cursor, less the overlap, but never later than the newest read began: rows that changed while that read
    was under way may have been passed by.
    """
    dataset = f"raw/{source}/{stream.name}"
    files = lake.files(dataset)
    if stream.partition_by:
        return Bookmark(as_of, None, _partitions(lake, files))
    if not files or stream.cursor is None:
        return Bookmark(as_of)
    latest = (as_of.astimezone(UTC) + FUTURE_TOLERANCE).replace(tzinfo=None)
    cursor = quoted(stream.cursor)
    with lake.connect() as connection:
        found = connection.execute(
            f"SELECT least(max({cursor}) FILTER (WHERE {cursor} <= ?), max(_landed_at)) FROM read_parquet(?)",
            [latest, files],
        ).fetchone()
    if not found or found[0] is None:
        return Bookmark(as_of)
    return Bookmark(as_of, found[0].replace(tzinfo=UTC) - stream.overlap)


def _partitions(lake: Lake, files: list[str]) -> dict[str, str]:
    """Landed partition → the vendor's mark of the version that was read ("" when it gave none)."""
    versions = {file.rsplit("/", 1)[-1].removesuffix(".parquet"): "" for file in files}
    if files:
        with lake.connect() as connection:
            found = connection.execute(
                "SELECT file_name, decode(value) FROM parquet_kv_metadata(?) "
                f"WHERE decode(key) = {literal(VERSION_KEY)}",
                [files],
            ).fetchall()
        versions |= {file.rsplit("/", 1)[-1].removesuffix(".parquet"): value for file, value in found}
    return versions


def _drop_provisional(source: str, stream: Stream, lake: Lake) -> None:
    """Remove stand-in partitions whose final one has landed; done every pull, so a kill in between costs nothing."""
    dataset = f"raw/{source}/{stream.name}"
    names = {file.rsplit("/", 1)[-1] for file in lake.files(dataset)}
    for name in sorted(names):
        if (
            stream.provisional
            and name.startswith(stream.provisional)
            and name.removeprefix(stream.provisional) in names
        ):
            lake.remove(f"{dataset}/{name}")


def _sweep_interval(stream: Stream, override: timedelta | None) -> timedelta | None:
    if stream.sweep_every is None:
        return None
    if override is not None:
        return override
    # KIZUNA_SWEEP_HOURS scales the day that streams are declared with.
    return stream.sweep_every * (settings.run_config().sweep_hours / 24)


def _is_due(lake: Lake, path: str, as_of: datetime, interval: timedelta) -> bool:
    if not lake.exists(path):
        return True
    return as_of - datetime.fromisoformat(lake.read_json(path)["swept_at"]) >= interval
