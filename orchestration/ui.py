"""`make ui`: Dagster's own UI on the same definitions, with the sandbox shop open behind it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys

import psutil

from orchestration.resources import PROJECT_ROOT
from orchestration.sandbox import SandboxProcess

HOST, PORT = "127.0.0.1", 3000


def main() -> int:
    # A terminal's ctrl-c reaches every process; `kill` reaches only this one, which then ends the others. Set here,
    # ctrl-c also counts where a shell that starts us in the background has told us to ignore it.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    with socket.socket() as probe:
        if probe.connect_ex((HOST, PORT)) == 0:
            print(f"something answers at http://{HOST}:{PORT} already; end it (an earlier make ui?)", file=sys.stderr)
            return 1
    try:
        with SandboxProcess(state=PROJECT_ROOT / ".sandbox" / "state") as sandbox:
            environment = os.environ | sandbox.environment()
            environment.setdefault("KIZUNA_LAKE", str(PROJECT_ROOT / "lake"))
            environment["DAGSTER_HOME"] = str(PROJECT_ROOT)
            print(
                f"sandbox shop at {sandbox.url}; the UI comes up at http://{HOST}:{PORT} (ctrl-c ends both)", flush=True
            )
            command = [sys.executable, "-m", "dagster", "dev", "-m", "orchestration.definitions"]
            with subprocess.Popen(
                [*command, "-h", HOST, "-p", str(PORT)], cwd=PROJECT_ROOT, env=environment
            ) as dagster:
                return _wait(dagster)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1


def _wait(dagster: subprocess.Popen[bytes]) -> int:
    """Dagster's exit code; an interrupt lets it end its web server, daemon and code server, and ends what stays."""
    try:
        return dagster.wait()
    except KeyboardInterrupt:
        if dagster.poll() is not None:
            return 0
        started = psutil.Process(dagster.pid).children(recursive=True)
        for seconds, ask in ((5, None), (20, signal.SIGINT), (5, signal.SIGKILL)):
            if ask is not None:
                dagster.send_signal(ask)
            with contextlib.suppress(subprocess.TimeoutExpired):
                dagster.wait(seconds)
                break
        for process in psutil.wait_procs(started, timeout=5)[1]:
            process.kill()
        return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(0) from None
