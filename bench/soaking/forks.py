"""Children of a process that stays free of threads, because one that has some cannot be forked safely."""

import contextlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil


class Forks:
    """Starts children, each at the head of its own process group, so that who kills it kills what it started."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder, self.log = folder, log
        """Where children work, and the file that takes what they print."""

    def start(self, work: Callable[[], object]) -> int:
        """Do `work` in a child; returns its process id. Its exit status is 1 when `work` raises."""
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            os.setpgid(0, 0)
            os.chdir(self.folder)
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            work()
            status = 0
        except BaseException:  # noqa: BLE001  the child's last words
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def start_telling(self, work: Callable[[int], object]) -> tuple[int, int]:
        """Like `start`, with a pipe that the child writes to; returns its process id and our end of the pipe."""
        told, tell = os.pipe()
        pid = self.start(lambda: work(tell))
        os.close(tell)
        return pid, told

    def ask(self, work: Callable[[], Any]) -> Any:
        """What `work` returns (as JSON), computed in a child."""
        pid, told = self.start_telling(lambda tell: write(tell, json.dumps(work())))
        with os.fdopen(told) as answer:
            content = answer.read()
        _, status = os.waitpid(pid, 0)
        if status:
            raise RuntimeError(f"a child of the soak failed; see {self.log}")
        return json.loads(content)


def write(pipe: int, text: str) -> None:
    content = text.encode()
    while content:
        content = content[os.write(pipe, content) :]


def read_until(pipe: int, deadline: float) -> bytes | None:
    """Everything until the other end is closed; None when that is not before the deadline."""
    content = b""
    while (left := deadline - time.monotonic()) > 0:
        if select.select([pipe], [], [], left)[0]:
            part = os.read(pipe, 1 << 16)
            if not part:
                return content
            content += part
    return None


@contextlib.contextmanager
def within(seconds: int, what: str) -> Iterator[None]:
    """Raise TimeoutError in the midst of what takes longer; for the main thread, one at a time."""

    def too_long(*_: object) -> None:
        raise TimeoutError(f"not done within {seconds} s: {what}")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def kill_group(pid: int) -> None:
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
