"""`make ui`: Dagster's own UI on the same definitions, with the sandbox shop open behind it."""

from __future__ import annotations

import os
import subprocess
import sys

from orchestration.resources import PROJECT_ROOT
from orchestration.sandbox import SandboxProcess


def main() -> int:
    with SandboxProcess(state=PROJECT_ROOT / ".sandbox" / "state") as sandbox:
        environment = os.environ | sandbox.environment()
        environment.setdefault("KIZUNA_LAKE", str(PROJECT_ROOT / "lake"))
        environment["DAGSTER_HOME"] = str(PROJECT_ROOT)
        print(f"sandbox shop at {sandbox.url}; the UI comes up at http://127.0.0.1:3000 (ctrl-c ends both)", flush=True)
        command = [
            sys.executable,
            "-m",
            "dagster",
            "dev",
            "-m",
            "orchestration.definitions",
            "-h",
            "127.0.0.1",
            "-p",
            "3000",
        ]
        return subprocess.run(command, cwd=PROJECT_ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit(0) from None
