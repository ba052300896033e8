"""The sandbox shop as a process of its own, for the commands that need one running."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from connectors.sandbox.clock import WORLD_NOW
from connectors.sandbox.world import World
from orchestration.resources import PROJECT_ROOT

READY = "sandbox ready at "


class SandboxProcess:
    """Starts `python -m connectors.sandbox`, waits until it answers and stops it on exit.

    `state` is the folder that keeps the vendors' side between runs; `households` makes a smaller shop.
    Raises `RuntimeError` when the sandbox does not come up; what it printed stands above.
    """

    def __init__(self, state: Path, households: int | None = None, port: int = 0) -> None:
        self.households = households
        self.command = [sys.executable, "-m", "connectors.sandbox", "--port", str(port), "--state", str(state)]
        if households:
            self.command += ["--households", str(households)]

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self.command, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(READY):
                self.url = line.removeprefix(READY).strip()
                return self
            sys.stdout.write(line)
        raise RuntimeError(f"the sandbox did not start (exit code {self.process.wait()})")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)

    def ask(self, path: str) -> Any:
        """What the control API answers at `/_sandbox/<path>`."""
        response = requests.get(f"{self.url}/_sandbox/{path}", timeout=60)
        response.raise_for_status()
        return response.json()

    def environment(self) -> dict[str, str]:
        """Every variable that points Kizuna at this shop, the shop's time included."""
        variables: dict[str, str] = self.ask("environment")
        return variables | {"KIZUNA_AS_OF": WORLD_NOW.replace(tzinfo=UTC).isoformat()}

    def truth(self) -> str:
        """The Parquet file that knows who every record truly is; for measuring, never an input of anything."""
        return str(World.build(self.households).path("truth"))
