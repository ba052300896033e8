"""One worker of the soak: a shop, a warm pipeline, and a loop of kill, clean run and comparison.

The worker imports everything once and then only forks: every run of the pipeline is a child in a process group of its
own, so that a kill takes dbt with it, and so is the sandbox, which lives on when the pipeline dies, as a vendor does.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.soaking import state, warm_dbt
from bench.soaking.forks import Forks, kill_group, read_until, within

if TYPE_CHECKING:
    from bench.soaking.runs import Step

PROJECT = Path(__file__).resolve().parents[2]
PREPARATION_SECONDS = 600
CLEAN_RUN_SECONDS = 300
STAGES = {"ingest": "pull", "transform": "build", "score": "score", "activate": "push"}


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

    def make(self) -> None:
        for folder in (self.shop, self.home, self.dbt, self.scratch, self.snapshots):
            folder.mkdir(parents=True)
        shutil.copy(PROJECT / "dagster.yaml", self.home)

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
        from connectors.sandbox.world import World

        self.folders = Folders(folder)
        self.forks = Forks(self.folders.home, log=folder / "log.txt")
        self.day = day
        self.days = {
            name: at.replace(tzinfo=UTC).isoformat() for name, at in (("first", WORLD_NOW), ("second", NEXT_NOW))
        }
        self.world = World.build(households)
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.sandbox_pid = 0
        self.dbt_pid = 0
        self.steps: list[Step] = []
        self.failures: list[str] = []
        """What fails on this day without any kill: a guard that holds back a change too large for a small shop."""

    def prepare(self) -> None:
        """Set up the shop, warm the pipeline, run the day undisturbed and keep the state before every step.

        Raises TimeoutError when that takes longer than `PREPARATION_SECONDS`: something hangs.
        """
        with within(PREPARATION_SECONDS, f"the preparation of the {self.day} day; see {self.forks.log}"):
            self._prepare()

    def _prepare(self) -> None:
        folders = self.folders
        folders.make()
        self.forks.ask(self._open_shop)
        os.environ |= self._variables()
        self._start_dbt()

        # Only now: which vendors are configured is read from the environment when the definitions are made.
        from bench.soaking import runs, warm_dagster

        self.runs = runs
        warm_dagster.install()
        # The definitions put the dbt beside this interpreter first; ours is that one, kept warm.
        os.environ["PATH"] = os.pathsep.join([str(folders.programs), os.environ["PATH"]])
        self.forks.ask(runs.make_books)
        copy(folders.home, folders.root / "fresh-home")

        self.start_sandbox()
        if self.day == "second":
            self._undisturbed("first", lambda number: None)
            self.stop_sandbox()
            self.forks.ask(self._live_one_day)
            self.start_sandbox()
        self.steps, modules = self._undisturbed(self.day, lambda number: folders.snapshot(str(number)))
        warm_dagster.import_all(modules)
        self._settle()
        copy(folders.shop, folders.expected)
        self.stop_sandbox()

    def _open_shop(self) -> None:
        from connectors.sandbox import google_key
        from connectors.sandbox.state import State

        State(self.world, self.folders.state).close()
        google_key.private_key(self.folders.state)

    def _live_one_day(self) -> None:
        from connectors.sandbox.next_day import live_one_day
        from connectors.sandbox.state import State

        state = State(self.world, self.folders.state)
        live_one_day(state)
        state.close()

    def _variables(self) -> dict[str, str]:
        from connectors.sandbox.server import environment

        return environment(self.url, self.folders.state) | {
            "KIZUNA_LAKE": str(self.folders.lake),
            "KIZUNA_AS_OF": self.days[self.day],
            "DAGSTER_HOME": str(self.folders.home),
            "DBT_TARGET_PATH": str(self.folders.dbt),
            "DBT_LOG_PATH": str(self.folders.dbt),
            warm_dbt.ADDRESS: str(self.folders.root / "dbt.socket"),
            "TMPDIR": str(self.folders.scratch),
        }

    def _undisturbed(self, day: str, before_step: Callable[[int], None]) -> tuple[list[Step], list[str]]:
        """Run the loop of a day in a child that waits at every step's end until its state has been kept.

        Returns the steps and the modules that the child had imported at its end.
        """
        wait, go_on = os.pipe()
        before_step(0)
        pid, told = self.forks.start_telling(lambda tell: self.runs.whole_loop(tell, wait, self.days[day]))
        os.close(wait)
        marks: list[dict[str, Any]] = []
        outcome: dict[str, Any] = {}
        try:
            with os.fdopen(told) as lines:
                for line in lines:
                    message = json.loads(line)
                    if message.get("event") == self.runs.END:
                        marks.append(message)
                        before_step(len(marks))
                        os.write(go_on, b".")
                    elif "failures" in message:
                        outcome = message
        except TimeoutError:
            kill_group(pid)
            raise
        os.close(go_on)
        os.waitpid(pid, 0)
        if not outcome or any("maximum_" not in failure for failure in outcome["failures"]):
            raise RuntimeError(f"the undisturbed run failed: {outcome.get('failures')}; see {self.forks.log}")
        self.failures = outcome["failures"]
        steps = [
            self.runs.Step(
                mark["job"],
                mark["step"],
                STAGES[mark["stage"]],
                tuple(tuple(key) for key in outcome["assets"][f"{mark['job']} {mark['step']}"]),
                mark["seconds"],
            )
            for mark in marks
        ]
        return steps, outcome["modules"]

    def kill_and_recover(self, stage: str, chance: random.Random) -> dict[str, Any]:
        """Kill a run somewhere in a stage, run the loop once more, and tell what differs from an undisturbed run."""
        candidates = [number for number, step in enumerate(self.steps) if step.stage == stage]
        number = chance.choices(candidates, [self.steps[n].seconds for n in candidates])[0]
        # A little more than the step takes: some kills hit what lies between two steps.
        moment = chance.uniform(0, self.steps[number].seconds + 0.1)
        times = [time.monotonic()]
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
        times.append(time.monotonic())
        told = self._clean_run()
        times.append(time.monotonic())
        if not told:
            self._settle()
            told = self.forks.ask(lambda: state.differences(self.folders.expected, self.folders.shop))
        self.stop_sandbox()
        times.append(time.monotonic())
        return {
            "stage": killed_in.stage,
            "step": killed_in.name,
            "moment": round(moment, 3),
            "differences": told,
            "seconds": [round(after - before, 1) for before, after in itertools.pairwise(times)],
        }

    def _killed_run(self, number: int, moment: float) -> int | None:
        """Run from a step on and kill it `moment` seconds after that began.

        Returns how many steps had finished by then, None when all of them had.
        """
        steps, as_of = self.steps[number:], self.days[self.day]
        pid, told = self.forks.start_telling(lambda tell: self.runs.rest_of_loop(tell, steps, as_of))
        deadline = time.monotonic() + CLEAN_RUN_SECONDS
        finished, has_begun, is_over = 0, False, False
        with os.fdopen(told, "rb", 0) as lines:
            while not is_over and (left := deadline - time.monotonic()) > 0:
                if select.select([lines], [], [], left)[0]:
                    content = lines.read(1 << 16)
                    is_over = not content
                    finished += content.count(self.runs.END.encode())
                    if content and not has_begun:
                        has_begun, deadline = True, time.monotonic() + moment
        kill_group(pid)
        if not has_begun:
            raise RuntimeError(f"the run that was to be killed never began; see {self.forks.log}")
        return None if is_over else finished

    def _clean_run(self) -> list[str]:
        """The loop once more, as the schedules run it; nothing when every job succeeded."""
        pid, told = self.forks.start_telling(lambda tell: self.runs.whole_loop(tell, None, self.days[self.day]))
        content = read_until(told, time.monotonic() + CLEAN_RUN_SECONDS)
        os.close(told)
        if content is None:
            kill_group(pid)
            return [f"the clean run did not end within {CLEAN_RUN_SECONDS} s"]
        os.waitpid(pid, 0)
        messages = [json.loads(line) for line in content.splitlines()]
        outcome = next((message for message in messages if "failures" in message), None)
        if outcome is None:
            return [f"the clean run died; see {self.forks.log}"]
        unlike = [failure for failure in outcome["failures"] if failure not in self.failures]
        return [f"the clean run failed: {failure}" for failure in unlike] + [
            f"run {run} still holds a place in a pool" for run in self.forks.ask(self.runs.places_held)
        ]

    def _settle(self) -> None:
        """One more pull of the list that our own pushes have changed, and the vendors' state beside the lake."""
        vendors = self.forks.ask(lambda: self.runs.settle(self.folders.lake, self.days[self.day], self.url))
        (self.folders.shop / "vendors.json").write_text(vendors, "utf-8")

    def start_sandbox(self) -> None:
        self.sandbox_pid = self.forks.start(lambda: self.runs.serve(self.world, self.folders.state, self.port))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"the sandbox did not start; see {self.forks.log}")

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
        self.dbt_pid, told = self.forks.start_telling(
            lambda tell: warm_dbt.serve(listener, PROJECT / "dbt_project", tell)
        )
        listener.close()
        if not os.read(told, 1):
            raise RuntimeError(f"dbt did not start; see {self.forks.log}")
        os.close(told)

    def stop(self) -> None:
        """End what the worker has started."""
        self.stop_sandbox()
        if self.dbt_pid:
            os.kill(self.dbt_pid, signal.SIGKILL)
            os.waitpid(self.dbt_pid, 0)
            self.dbt_pid = 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
