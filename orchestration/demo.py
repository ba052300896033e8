"""`make demo`: the whole loop on the sandbox shop, and what happened told on one page and in `lake/demo.json`."""

import argparse
import contextlib
import os
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import dagster as dg
import psutil

from connectors.lake import Lake
from orchestration import runs, story
from orchestration.progress import why
from orchestration.resources import PROJECT_ROOT
from orchestration.sandbox import SandboxProcess

DBT_LOG = PROJECT_ROOT / ".dagster" / "dbt.log"
STAGES = ("ingest", "transform", "score", "activate")


class MemoryWatch(threading.Thread):
    """The peak resident memory of this process and its children but one (the sandbox), in MiB, sampled."""

    def __init__(self, leave_out: int) -> None:
        super().__init__(daemon=True)
        self.leave_out = leave_out
        self.peak_mib = 0.0
        self.stopped = threading.Event()

    def run(self) -> None:
        me = psutil.Process()
        while not self.stopped.wait(0.1):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_info().rss if process.pid != self.leave_out else 0
                except psutil.NoSuchProcess:
                    continue
            self.peak_mib = max(self.peak_mib, total / 2**20)


class Report:
    """What `lake/demo.json` holds, filled from the events of each run."""

    def __init__(self) -> None:
        self.pulled: dict[str, dict[str, Any]] = {}
        self.syncs: dict[str, dict[str, Any]] = {}
        self.seconds: dict[str, float] = defaultdict(float)
        self.failures: list[str] = []

    def collect(self, result: dg.ExecuteInProcessResult) -> None:
        """Take rows, seconds, counts and failures from one finished run."""
        for event in result.all_events:
            kind = event.event_type_value
            if kind == "STEP_SUCCESS":
                self.seconds[stage_of(event.step_key)] += event.step_success_data.duration_ms / 1000
            elif kind == "STEP_FAILURE":
                self.failures.append(f"{event.step_key}: {why(event)}")
            elif kind == "ASSET_MATERIALIZATION" and event.asset_key is not None:
                folder, name = event.asset_key.path[0], event.asset_key.path[-1]
                metadata: dict[str, Any] = {key: value.value for key, value in event.materialization.metadata.items()}
                if folder.startswith("raw_"):
                    self.pulled[f"{folder.removeprefix('raw_')}.{name}"] = {
                        "rows": metadata["dagster/row_count"],
                        "seconds": metadata["seconds"],
                    }
                elif "wanted" in metadata:
                    keep = ("wanted", "added", "removed", "updated", "blocked", "rejected", "unknown", "confirmed")
                    self.syncs[f"{folder}.{name}"] = {key: metadata[key] for key in keep}


def stage_of(step_key: str | None) -> str:
    """The stage that a step belongs to, by its name."""
    name = step_key or ""
    if name.startswith("pull_"):
        return "ingest"
    if name.startswith("transform"):
        return "transform"
    return "score" if name.startswith("scores__") else "activate"


def run_loop(report: Report) -> float:
    """Run every vendor's pull, then build, score and push; returns the seconds it took."""
    # Only now: which vendors are configured is read from the environment when the definitions are made.
    from orchestration.definitions import daily, defs, ingest_jobs

    began = time.monotonic()
    instance = dg.DagsterInstance.get()
    for job in (*ingest_jobs, daily):
        print(f"\n{job.name}", flush=True)
        # dbt prints every model as it goes; the progress logger has said so already, so that text goes to a file.
        with DBT_LOG.open("a") as log, contextlib.redirect_stdout(log):
            result = runs.execute(defs.resolve_job_def(job.name), instance, run_config={"loggers": {"progress": {}}})
        report.collect(result)
    return time.monotonic() - began


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--households", type=int, help="a smaller shop (default: all 2,469 households)")
    parser.add_argument("--lake", default=os.environ.get("KIZUNA_LAKE", str(PROJECT_ROOT / "lake")))
    parser.add_argument("--state", type=Path, default=PROJECT_ROOT / ".sandbox" / "state")
    options = parser.parse_args(arguments)

    began = time.monotonic()
    print("Opening the sandbox shop; the first time, its year is made, which takes a minute ...", flush=True)
    with SandboxProcess(state=options.state, households=options.households) as sandbox:
        os.environ.update(sandbox.environment())
        lake = Lake(options.lake)
        os.environ["KIZUNA_LAKE"] = lake.root
        os.environ.setdefault("DAGSTER_HOME", str(PROJECT_ROOT))
        print(f"The shop is open at {sandbox.url} after {time.monotonic() - began:.0f} s.", flush=True)

        DBT_LOG.parent.mkdir(exist_ok=True)
        report = Report()
        watch = MemoryWatch(leave_out=sandbox.process.pid)
        watch.start()
        loop_seconds = run_loop(report)
        watch.stopped.set()
        told = story.tell(lake, sandbox, report.pulled, report.syncs)
        told["seconds"] = {stage: round(report.seconds[stage], 1) for stage in STAGES} | {
            "loop": round(loop_seconds, 1)
        }
        told["peak_memory_mib"] = round(watch.peak_mib)
        told["failures"] = report.failures
        lake.write_json("demo.json", told)
        print(story.page(told, lake))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
