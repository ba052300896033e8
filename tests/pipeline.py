"""The pipeline as the schedules run it, on a lake and a shop of a test's own."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import yaml

from connectors.lake import Lake

ROOT = Path(__file__).resolve().parents[1]
VENDORS = ("SHOPIFY", "HUBSPOT", "GA4", "MAILCHIMP", "META", "GOOGLE", "KIZUNA", "DAGSTER", "DBT")


class Pipeline:
    """Dagster's definitions, loaded with exactly these variables, and their jobs.

    `home` keeps what the pipeline itself leaves outside the lake: Dagster's files and dbt's target with its logs.
    Dagster's books are kept in memory: on disk they are two thirds of a run's time, and nobody kills this process.
    """

    def __init__(self, lake: Lake, home: Path, variables: Mapping[str, str], as_of: str) -> None:
        self.lake, self.home = lake, home
        home.mkdir(parents=True, exist_ok=True)
        # one for each time of the clock: each of a day's dbt runs would parse everything anew for another one
        self.target = home / "dbt" / as_of.replace(":", "")
        self.variables = {
            **variables,
            "KIZUNA_LAKE": lake.root,
            "KIZUNA_AS_OF": as_of,
            "DBT_TARGET_PATH": str(self.target),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        }
        settings = yaml.safe_load((ROOT / "dagster.yaml").read_text("utf-8"))
        self.instance = dg.DagsterInstance.ephemeral(str(home), settings={"concurrency": settings["concurrency"]})
        self.definitions = self._load()

    def pull(self, vendor: str) -> Run:
        """The job that pulls one vendor."""
        return self._run(f"ingest_{vendor}")

    def pull_all(self) -> dict[str, Run]:
        """Every vendor's own job, one after the other, as schedules start them: none waits for another's success."""
        return {job.name.removeprefix("ingest_"): self._run(job.name) for job in self.definitions.ingest_jobs}

    def daily(self) -> Run:
        """Build, score and push what has landed."""
        return self._run("daily")

    def books(self) -> str:
        """Every event that Dagster has kept of the runs so far, as it would store them."""
        runs = self.instance.get_runs()
        return "\n".join(dg.serialize_value(event) for run in runs for event in self.instance.all_logs(run.run_id))

    def _run(self, job: str) -> Run:
        with environment(self.variables):
            definition = self.definitions.defs.resolve_job_def(job)
            options = {"run_config": {"loggers": {"progress": {}}}}
            return Run(self.definitions.runs.execute(definition, self.instance, **options))

    def _load(self) -> ModuleType:
        """The definitions, imported afresh: which vendors are configured is decided when they are made."""
        with environment(self.variables):
            if not (self.target / "partial_parse.msgpack").exists():
                parse = [str(Path(sys.executable).with_name("dbt")), "--quiet", "parse", "--profiles-dir", "."]
                subprocess.run([*parse, "--log-path", str(self.target)], cwd=ROOT / "dbt_project", check=True)
            for name in [name for name in sys.modules if name.partition(".")[0] == "orchestration"]:
                del sys.modules[name]
            module = importlib.import_module("orchestration.definitions")
            module.runs = importlib.import_module("orchestration.runs")  # type: ignore[attr-defined]
            return module


class Run:
    """What one run of a job did, read from its events."""

    def __init__(self, result: dg.ExecuteInProcessResult) -> None:
        self.is_success = result.success
        self.assets: dict[str, dict[str, Any]] = {}
        """Materialised asset → its metadata."""
        self.failed_steps: dict[str, str] = {}
        """Failed step → what it said."""
        self.failed_checks: set[str] = set()
        for event in result.all_events:
            kind = event.event_type_value
            if kind == "ASSET_MATERIALIZATION" and event.asset_key is not None:
                values = {name: value.value for name, value in event.materialization.metadata.items()}
                self.assets[event.asset_key.to_user_string()] = values
            elif kind == "STEP_FAILURE":
                self.failed_steps[str(event.step_key)] = event.step_failure_data.error_display_string
            elif kind == "ASSET_CHECK_EVALUATION" and not event.asset_check_evaluation_data.passed:
                self.failed_checks.add(event.asset_check_evaluation_data.check_name)

    @property
    def pushes(self) -> dict[str, dict[str, Any]]:
        """<destination>/<audience> → counts of what was sent."""
        return {name: values for name, values in self.assets.items() if "wanted" in values}

    @property
    def built(self) -> set[str]:
        """The dbt models that were built, `<schema>/<model>`; those that stood are left out."""
        folders = ("staging/", "steps/", "segments/", "marts/")
        return {n for n, values in self.assets.items() if n.startswith(folders) and "unchanged" not in values}

    @property
    def landed(self) -> dict[str, int]:
        """Stream → rows newly landed."""
        return {name: values["dagster/row_count"] for name, values in self.assets.items() if name.startswith("raw_")}


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables and no others of the vendors', ours, Dagster's or dbt's."""
    before = dict(os.environ)
    for name in before:
        if name.partition("_")[0] in VENDORS:
            del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
