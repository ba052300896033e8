"""Runs of jobs in this process, and what killed ones leave in Dagster's books.

A run that is killed cannot say so: it stays "started" and keeps its places in the pools, and the next run would wait
for them for ever. Under `dagster dev` the daemon sees to that (`run_monitoring` in dagster.yaml); here nobody does.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg
import psutil

PROCESS = "kizuna/process"


def execute(job: dg.JobDefinition, instance: dg.DagsterInstance, **options: Any) -> dg.ExecuteInProcessResult:
    """Run a job here, marked with this process; what was killed before is cleared away first. Failures do not raise."""
    clear_killed_runs(instance)
    return job.execute_in_process(
        instance=instance, raise_on_error=False, tags={PROCESS: _name(psutil.Process())}, **options
    )


def clear_killed_runs(instance: dg.DagsterInstance) -> list[str]:
    """Report the runs whose process is gone as failed and free their places in the pools; returns their ids."""
    unfinished = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    killed = [run for run in instance.get_runs(filters=dg.RunsFilter(statuses=unfinished)) if _is_of_the_dead(run.tags)]
    for run in killed:
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        instance.report_run_failed(run, "its process was killed")
    return [run.run_id for run in killed]


def _is_of_the_dead(tags: Mapping[str, str]) -> bool:
    """Whether the run was marked with a process that is gone; a run of somebody else's says nothing."""
    if PROCESS not in tags:
        return False
    pid = int(tags[PROCESS].split()[0])
    if pid == os.getpid():
        return False
    try:
        return _name(psutil.Process(pid)) != tags[PROCESS]
    except psutil.NoSuchProcess:
        return True


def _name(process: psutil.Process) -> str:
    """Process id and start: ids are used again."""
    return f"{process.pid} {process.create_time():.2f}"
