"""One worker of the soak: a shop, a warm pipeline, and a loop of kill, clean run and comparison.

The worker imports everything once and then only forks: every run of the pipeline is a child in a process group of its
own, so that a kill takes dbt with it, and so is the sandbox, which lives on when the pipeline dies, as a vendor does.
The worker itself stays free of threads, because a process that has some cannot be forked safely.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench import warm_dagster, warm_dbt

PROJECT = Path(__file__).resolve().parents[1]

# Every limit as documented would make a kill in a wait the likeliest kill of all.
PACE = 200.0
CLEAN_RUN_SECONDS = 300
BEGIN, END = "STEP_START", "STEP_SUCCESS"
STAGES = {"ingest": "pull", "transform": "build", "score": "score", "activate": "push"}


@dataclass(frozen=True)
class Step:
    """One step of an undisturbed run: what it is, what it makes and the seconds it took."""

    job: str
    name: str
    stage: str
    assets: tuple[tuple[str, ...], ...]
    seconds: float


class Folders:
    """Where a worker keeps things. The lake's own path never changes: views in the warehouse name it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shop = root / "shop"
        """What a snapshot holds: the lake and the vendors' state."""
        self.lake = self.shop / "lake"
        self.state = self.shop / "state"
        self.home = root / "home"
        self.dbt = root / "dbt"
        self.programs = root / "programs"
        self.scratch = root / "scratch"
        self.snapshots = root / "snapshots"
        self.expected = root / "expected"
        self.log = root / "log.txt"

    def snapshot(self, name: str) -> None:
        copy(self.shop, self.snapshots / name)

    def restore(self, name: str) -> None:
        """Stand where the undisturbed run stood before a step; nothing is left of the run before."""
        copy(self.snapshots / name, self.shop)
        copy(self.root / "fresh-home", self.home)
        for left in (*self.dbt.iterdir(), *self.scratch.iterdir()):
            if left.is_dir():
                shutil.rmtree(left)


def copy(source: Path, target: Path) -> None:
    """Replace a folder by a copy, times included: the pipeline's fingerprints look at them."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


class Worker:
    """Prepares a day of the shop and then survives kills of it."""

    def __init__(self, folder: Path, day: str, households: int) -> None:
        from connectors.sandbox.next_day import NEXT_NOW
        from connectors.sandbox.state import WORLD_NOW

        self.folders = Folders(folder)
        self.day, self.households = day, households
        self.days = {
            "first": WORLD_NOW.replace(tzinfo=UTC).isoformat(),
            "second": NEXT_NOW.replace(tzinfo=UTC).isoformat(),
        }
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.sandbox_pid = 0
        self.dbt_pid = 0
        self.steps: list[Step] = []
        self.processor_seconds = 0.0
        self.failures: list[str] = []
        """What fails on this day without any kill: a guard that holds back a change too large for a small shop."""

    # ── before the first kill ──

    def prepare(self) -> None:
        """Set up the shop, warm the pipeline, run the day undisturbed and keep the state before every step."""
        folders = self.folders
        for folder in (folders.shop, folders.home, folders.dbt, folders.scratch, folders.snapshots):
            folder.mkdir(parents=True)
        shutil.copy(PROJECT / "dagster.yaml", folders.home)
        self._open_shop()
        os.environ |= self._variables()
        self._start_dbt()
        import orchestration.definitions
        import orchestration.demo  # noqa: F401  warm for the children

        warm_dagster.install()
        # The definitions put the dbt beside this interpreter first; ours is that one, kept warm.
        os.environ["PATH"] = os.pathsep.join([str(folders.programs), os.environ["PATH"]])
        parse = ["dbt", "--quiet", "parse", "--profiles-dir", ".", "--log-path", str(folders.dbt)]
        subprocess.run(parse, cwd=PROJECT / "dbt_project", check=True)

        self.in_child(_make_instance)
        copy(folders.home, folders.root / "fresh-home")
        self.start_sandbox()
        if self.day == "second":
            self._undisturbed("first", lambda number: None)
            self.stop_sandbox()
            self.in_child(self._live_one_day)
            self.start_sandbox()
        self.steps = self._undisturbed(self.day, lambda number: folders.snapshot(str(number)))
        self._settle(folders.expected)
        self.stop_sandbox()

    def _open_shop(self) -> None:
        from connectors.sandbox import google_key
        from connectors.sandbox.server import Sandbox
        from connectors.sandbox.world import World

        self.world = World.build(self.households)

        def build() -> None:
            Sandbox(self.world, self.folders.state).stop()
            google_key.private_key(self.folders.state)

        self.in_child(build)

    def _variables(self) -> dict[str, str]:
        from connectors.sandbox.server import environment

        return environment(self.url, self.folders.state) | {
            "KIZUNA_LAKE": str(self.folders.lake),
            "KIZUNA_AS_OF": self.days[self.day],
            "DAGSTER_HOME": str(self.folders.home),
            "DBT_TARGET_PATH": str(self.folders.dbt),
            warm_dbt.ADDRESS: str(self.folders.root / "dbt.socket"),
            "TMPDIR": str(self.folders.scratch),
        }

    def _live_one_day(self) -> None:
        from connectors.sandbox.next_day import live_one_day
        from connectors.sandbox.state import State

        state = State(self.world, self.folders.state)
        live_one_day(state)
        state.close()

    def _undisturbed(self, day: str, before_step: Callable[[int], None]) -> list[Step]:
        """Run the loop of a day in a child that waits at every step's end until its state has been kept."""
        told, tell = os.pipe()
        wait, go_on = os.pipe()
        before_step(0)
        pid = self._fork(lambda: _whole_loop(tell, wait, self.days[day]))
        os.close(tell)
        os.close(wait)
        marks: list[dict[str, Any]] = []
        outcome: dict[str, Any] = {}
        with os.fdopen(told) as lines:
            for line in lines:
                message = json.loads(line)
                if message.get("event") == END:
                    marks.append(message)
                    before_step(len(marks))
                    os.write(go_on, b".")
                elif "failures" in message:
                    outcome = message
        os.close(go_on)
        os.waitpid(pid, 0)
        if not outcome or any("maximum_" not in failure for failure in outcome["failures"]):
            raise RuntimeError(f"the undisturbed run failed: {outcome}; see {self.folders.log}")
        self.failures = outcome["failures"]
        warm_dagster.import_all(outcome["modules"])
        return [
            Step(
                mark["job"],
                mark["step"],
                STAGES[mark["stage"]],
                tuple(tuple(key) for key in outcome["assets"][f"{mark['job']} {mark['step']}"]),
                mark["seconds"],
            )
            for mark in marks
        ]

    # ── one kill ──

    def kill_and_recover(self, stage: str, chance: random.Random) -> dict[str, Any]:
        """Kill a run somewhere in a stage, run the loop once more, and tell what differs from an undisturbed run."""
        candidates = [number for number, step in enumerate(self.steps) if step.stage == stage]
        number = chance.choices(candidates, [self.steps[n].seconds for n in candidates])[0]
        # A little more than the step takes: some kills hit what lies between two steps.
        moment = chance.uniform(0, self.steps[number].seconds + 0.1)
        began = time.monotonic()
        while True:
            self.folders.restore(str(number))
            self.start_sandbox()
            finished = self._killed_run(number, moment)
            if finished is not None:
                break
            # The run was faster than the one that was measured; strike earlier.
            self.stop_sandbox()
            moment /= 2
        killed_in = self.steps[min(number + finished, len(self.steps) - 1)]
        killed_at = time.monotonic()
        told = self._clean_run()
        cleaned_at = time.monotonic()
        if not told:
            self._settle(self.folders.shop)
            told = self.in_child(lambda: _compare(self.folders.expected, self.folders.shop))
        self.stop_sandbox()
        return {
            "stage": killed_in.stage,
            "step": killed_in.name,
            "moment": round(moment, 3),
            "differences": told,
            "processor_seconds": self.processor_seconds,
            "seconds": [
                round(killed_at - began, 1),
                round(cleaned_at - killed_at, 1),
                round(time.monotonic() - cleaned_at, 1),
            ],
        }

    def _killed_run(self, number: int, moment: float) -> int | None:
        """Run from a step on and kill it `moment` seconds after that began.

        Returns how many steps had finished by then, None when all of them had.
        """
        told, tell = os.pipe()
        pid = self._fork(lambda: _rest_of_loop(tell, self.steps[number:]))
        os.close(tell)
        deadline = time.monotonic() + CLEAN_RUN_SECONDS
        finished, has_begun, is_over = 0, False, False
        with os.fdopen(told, "rb", 0) as lines:
            while not is_over and (left := deadline - time.monotonic()) > 0:
                if select.select([lines], [], [], left)[0]:
                    content = lines.read(1 << 16)
                    is_over = not content
                    finished += content.count(END.encode())
                    if content and not has_begun:
                        has_begun, deadline = True, time.monotonic() + moment
        _kill_group(pid)
        if not has_begun:
            raise RuntimeError(f"the run that was to be killed never began; see {self.folders.log}")
        return None if is_over else finished

    def _clean_run(self) -> list[str]:
        """The loop once more, as the schedules run it; nothing when every job succeeded."""
        told, tell = os.pipe()
        pid = self._fork(lambda: _whole_loop(tell, None, self.days[self.day]))
        os.close(tell)
        content = _read_until(told, time.monotonic() + CLEAN_RUN_SECONDS)
        os.close(told)
        if content is None:
            _kill_group(pid)
            return [f"the clean run did not end within {CLEAN_RUN_SECONDS} s"]
        used = os.wait4(pid, 0)[2]
        self.processor_seconds = round(used.ru_utime + used.ru_stime, 1)
        messages = [json.loads(line) for line in content.splitlines()]
        outcome = next((message for message in messages if "failures" in message), None)
        if outcome is None:
            return [f"the clean run died; see {self.folders.log}"]
        slots = self.in_child(_slots_held)
        unlike = [failure for failure in outcome["failures"] if failure not in self.failures]
        return [f"the clean run failed: {failure}" for failure in unlike] + [
            f"run {run} still holds a place in a pool" for run in slots
        ]

    def _settle(self, folder: Path) -> None:
        """One more pull of the list that our own pushes have changed, then keep lake and vendors for the comparison."""
        self.in_child(lambda: _pull_again(self.folders.lake, self.days[self.day]))
        vendors = self.in_child(lambda: _ask(f"{self.url}/_sandbox/state.json"))
        if folder != self.folders.shop:
            copy(self.folders.shop, folder)
        (folder / "vendors.json").write_text(vendors, "utf-8")

    # ── processes ──

    def start_sandbox(self) -> None:
        self.sandbox_pid = self._fork(lambda: _serve(self.world, self.folders.state, self.port))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"the sandbox did not start; see {self.folders.log}")

    def stop_sandbox(self) -> None:
        if self.sandbox_pid:
            os.kill(self.sandbox_pid, signal.SIGTERM)
            os.waitpid(self.sandbox_pid, 0)
            self.sandbox_pid = 0

    def _start_dbt(self) -> None:
        warm_dbt.install(self.folders.programs)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(os.environ[warm_dbt.ADDRESS])
        listener.listen()
        self.dbt_pid = self._fork(lambda: warm_dbt.serve(listener))
        listener.close()

    def stop(self) -> None:
        """End what the worker has started."""
        self.stop_sandbox()
        if self.dbt_pid:
            os.kill(self.dbt_pid, signal.SIGKILL)
            os.waitpid(self.dbt_pid, 0)
            self.dbt_pid = 0

    def in_child(self, work: Callable[[], Any]) -> Any:
        """What `work` returns (as JSON), computed in a child: the parent must stay free of threads to be forked."""
        told, tell = os.pipe()
        pid = self._fork(lambda: _write(tell, json.dumps(work())))
        os.close(tell)
        with os.fdopen(told) as answer:
            content = answer.read()
        _, status = os.waitpid(pid, 0)
        if status:
            raise RuntimeError(f"a child of the soak failed; see {self.folders.log}")
        return json.loads(content)

    def _fork(self, work: Callable[[], Any]) -> int:
        """Start `work` in a child at the head of its own process group, its output in the log."""
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            os.setpgid(0, 0)
            os.chdir(self.folders.home)  # Dagster's files stand there
            log = os.open(self.folders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            work()
            status = 0
        except BaseException:  # noqa: BLE001  the child's last words; its exit status is 1
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


# ── what the children do ──


def _jobs() -> list[str]:
    from orchestration.definitions import daily, ingest_jobs

    return [job.name for job in (*ingest_jobs, daily)]


def _run_job(
    name: str,
    as_of: str,
    tell: Callable[[dict[str, Any]], None] | None = None,
    assets: Sequence[Sequence[str]] | None = None,
) -> Any:
    """One of the jobs that the schedules start; tells the beginning and the end of every step."""
    import dagster as dg

    from orchestration import runs
    from orchestration.definitions import defs
    from orchestration.demo import stage_of
    from orchestration.resources import Clock

    clock = defs.resources["clock"] if defs.resources else Clock()
    began = time.monotonic()

    class Marks(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            nonlocal began
            event = getattr(record, "dagster_meta", {}).get("dagster_event")
            if event is None or tell is None or event.event_type_value not in (BEGIN, END):
                return
            step = event.step_key
            seconds = round(time.monotonic() - began, 3)
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
        _instance(),
        run_config={"loggers": {"marks": {}}},
        # Only the day before the one that is played is not the definitions' own.
        resources=None if as_of == clock.as_of else {"clock": Clock(as_of=as_of)},
        asset_selection=[dg.AssetKey(list(key)) for key in assets] if assets else None,
    )


def _whole_loop(tell: int, wait: int | None, as_of: str) -> None:
    """Every pull, then build, score and push; tells each step's end and, at last, what failed and who made what."""
    from orchestration.demo import Report

    def mark(message: dict[str, Any]) -> None:
        _write(tell, json.dumps(message) + "\n")
        if wait is not None and message["event"] == END:
            os.read(wait, 1)

    os.environ["KIZUNA_AS_OF"] = as_of
    report = Report()
    assets: dict[str, list[list[str]]] = {}
    for name in _jobs():
        result = _run_job(name, as_of, mark)
        report.collect(result)
        if not result.success and not report.failures:
            report.failures.append(f"{name} did not succeed")
        for event in result.all_events:
            if event.event_type_value == "ASSET_MATERIALIZATION":
                assets.setdefault(f"{name} {event.step_key}", []).append(list(event.asset_key.path))
    _write(tell, json.dumps({"failures": report.failures, "assets": assets, "modules": sorted(sys.modules)}) + "\n")


def _rest_of_loop(tell: int, steps: Sequence[Step]) -> None:
    """The loop from a step on, which the parent will not let come to its end."""
    as_of = os.environ["KIZUNA_AS_OF"]
    for name in dict.fromkeys(step.job for step in steps):
        assets = [key for step in steps if step.job == name for key in step.assets]
        _run_job(name, as_of, lambda message: _write(tell, json.dumps(message) + "\n"), assets)


def _pull_again(lake: Path, as_of: str) -> None:
    from connectors import extract
    from connectors.lake import Lake
    from connectors.sources import mailchimp

    extract.pull(mailchimp.SOURCE, Lake(str(lake)), as_of=datetime.fromisoformat(as_of))


@functools.cache
def _instance() -> Any:
    """Dagster's books, opened once a child."""
    import dagster as dg

    return dg.DagsterInstance.get()


def _make_instance() -> None:
    # The first touch makes the three SQLite files; every run then starts from a copy of them.
    _instance().get_runs_count()


def _slots_held() -> list[str]:
    return sorted(_instance().event_log_storage.get_concurrency_run_ids())


def _compare(expected: Path, found: Path) -> list[str]:
    from bench.soak_state import differences

    return differences(expected, found)


def _ask(url: str) -> str:
    import requests

    answer = requests.get(url, timeout=60)
    answer.raise_for_status()
    return answer.text


def _serve(world: Any, state: Path, port: int) -> None:
    from connectors.sandbox.server import Sandbox

    sandbox = Sandbox(world, state, port=port, pace=PACE)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    sandbox.serve()


def _read_until(pipe: int, deadline: float) -> bytes | None:
    """Everything until the other end is closed; None when that is not before the deadline."""
    content = b""
    while (left := deadline - time.monotonic()) > 0:
        if select.select([pipe], [], [], left)[0]:
            part = os.read(pipe, 1 << 16)
            if not part:
                return content
            content += part
    return None


def _write(pipe: int, text: str) -> None:
    content = text.encode()
    while content:
        content = content[os.write(pipe, content) :]


def _kill_group(pid: int) -> None:
    """SIGKILL a whole process group and wait until nothing of it runs any more."""
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while alive := [process for process in psutil.process_iter() if _is_alive(process, pid)]:
        for process in alive:  # one that was just joining the group
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.01)


def _is_alive(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
