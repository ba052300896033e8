"""The soak's kills reach everything a run has started, and a child's failure is never taken for an answer."""

import os
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from bench.soaking.forks import Forks, kill_group, read_until, within, write


@pytest.fixture
def forks(tmp_path: Path) -> Forks:
    return Forks(tmp_path, log=tmp_path / "log.txt")


def test_a_kill_takes_what_the_child_started(forks: Forks) -> None:
    def work(tell: int) -> None:
        sleeper = subprocess.Popen(["sleep", "600"])
        write(tell, f"{sleeper.pid}\n")
        sleeper.wait()

    pid, told = forks.start_telling(work)
    with os.fdopen(told) as lines:
        sleeper = int(lines.readline())
        kill_group(pid)
    assert not psutil.pid_exists(pid)
    assert not psutil.pid_exists(sleeper) or psutil.Process(sleeper).status() == psutil.STATUS_ZOMBIE


def test_a_child_answers(forks: Forks) -> None:
    assert forks.ask(lambda: {"folder": str(Path.cwd())}) == {"folder": str(forks.folder)}


def test_a_child_that_fails_is_no_answer(forks: Forks) -> None:
    with pytest.raises(RuntimeError, match="a child of the soak failed"):
        forks.ask(lambda: 1 / 0)


def test_a_child_that_does_not_end_is_not_waited_for(forks: Forks) -> None:
    pid, told = forks.start_telling(lambda _: time.sleep(600))
    assert read_until(told, time.monotonic() + 0.2) is None
    kill_group(pid)
    assert read_until(told, time.monotonic() + 5) == b""
    os.close(told)


def test_what_hangs_is_broken_off_and_what_ends_in_time_is_not() -> None:
    with pytest.raises(TimeoutError, match="not done within 1 s: a nap"), within(1, "a nap"):
        time.sleep(600)
    with within(1, "nothing"):
        pass
    time.sleep(1.1)
