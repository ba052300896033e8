"""What the soak's children do: the jobs that the schedules start, told step by step, and the sandbox beside them."""

import functools
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import requests

from bench.soaking.forks import write
from connectors import extract
from connectors.lake import Lake
from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World
from connectors.sources import mailchimp
from orchestration import runs
from orchestration.definitions import daily, defs, ingest_jobs
from orchestration.demo import Report, stage_of
from orchestration.resources import Clock

# Every limit as documented would make a kill in a wait the likeliest kill of all.
PACE = 200.0
BEGIN, END = "STEP_START", "STEP_SUCCESS"


@dataclass(frozen=True)
class Step:
    """One step of an undisturbed run: its name, its stage, what it makes and the seconds it took."""

    job: str
    name: str
    stage: str
    assets: tuple[tuple[str, ...], ...]
    seconds: float


@functools.cache
def books() -> dg.DagsterInstance:
    """Dagster's own state, opened once a child."""
    return dg.DagsterInstance.get()


def make_books() -> None:
    # The first touch makes the three SQLite files; every run then starts from a copy of them.
    books().get_runs_count()


def places_held() -> list[str]:
    """The runs that hold a place in a pool."""
    return sorted(books().event_log_storage.get_concurrency_run_ids())


def whole_loop(tell: int, wait: int | None, as_of: str) -> None:
    """Every pull, then build, score and push; tells each step's end and, at last, what failed and who made what.

    After a step it goes on once it can read a byte from `wait`.
    """

    def mark(message: dict[str, Any]) -> None:
        write(tell, json.dumps(message) + "\n")
        if wait is not None and message["event"] == END:
            os.read(wait, 1)

    os.environ["KIZUNA_AS_OF"] = as_of
    report = Report()
    assets: dict[str, list[list[str]]] = {}
    for job in (*ingest_jobs, daily):
        result = _run_job(job.name, as_of, mark)
        report.collect(result)
        if not result.success and not report.failures:
            report.failures.append(f"{job.name} did not succeed")
        for event in result.all_events:
            if event.event_type_value == "ASSET_MATERIALIZATION" and event.asset_key is not None:
                assets.setdefault(f"{job.name} {event.step_key}", []).append(list(event.asset_key.path))
    outcome = {"failures": report.failures, "assets": assets, "modules": sorted(sys.modules)}
    write(tell, json.dumps(outcome) + "\n")


def rest_of_loop(tell: int, steps: Sequence[Step], as_of: str) -> None:
    """The loop from a step on, which the worker will not let come to its end; tells each step's beginning and end."""
    for name in dict.fromkeys(step.job for step in steps):
        assets = [key for step in steps if step.job == name for key in step.assets]
        _run_job(name, as_of, lambda message: write(tell, json.dumps(message) + "\n"), assets)


def _run_job(
    name: str,
    as_of: str,
    tell: Callable[[dict[str, Any]], None],
    assets: Sequence[Sequence[str]] | None = None,
) -> dg.ExecuteInProcessResult:
    """One of the jobs that the schedules start; tells the beginning and the end of every step."""
    clock = defs.resources["clock"] if defs.resources else Clock()
    began = time.monotonic()

    class Marks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            nonlocal began
            event = getattr(record, "dagster_meta", {}).get("dagster_event")
            if event is None or event.event_type_value not in (BEGIN, END):
                return
            step, seconds = event.step_key, round(time.monotonic() - began, 3)
            tell(
                {
                    "event": event.event_type_value,
                    "job": name,
                    "step": step,
                    "stage": stage_of(step),
                    "seconds": seconds,
                }
            )
            began = time.monotonic()

    @dg.logger(config_schema=None)
    def marks(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("kizuna.soak", level=logging.DEBUG)
        logger.addHandler(Marks())
        return logger

    return runs.execute(
        defs.resolve_job_def(name).with_logger_defs({"marks": marks}),
        books(),
        run_config={"loggers": {"marks": {}}},
        # Only the day before the one that is played is not the definitions' own.
        resources=None if as_of == clock.as_of else {"clock": Clock(as_of=as_of)},
        asset_selection=[dg.AssetKey(list(key)) for key in assets] if assets else None,
    )


def settle(lake: Path, as_of: str, url: str) -> str:
    """One more pull of the list that our own pushes have changed; returns the vendors' whole state as JSON text."""
    extract.pull(mailchimp.SOURCE, Lake(str(lake)), as_of=datetime.fromisoformat(as_of))
    answer = requests.get(f"{url}/_sandbox/state.json", timeout=60)
    answer.raise_for_status()
    return answer.text


def serve(world: World, state: Path, port: int) -> None:
    """The sandbox, until SIGTERM."""
    sandbox = Sandbox(world, state, port=port, pace=PACE)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    sandbox.serve()
