"""What every stage is handed: where the lake is and what time it is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from connectors.lake import Lake

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Lakehouse(dg.ConfigurableResource):
    """The lake as Dagster hands it to assets."""

    root: str

    def open(self) -> Lake:
        return Lake(self.root)


class Clock(dg.ConfigurableResource):
    """The as-of time of a run, ISO 8601. Empty means now: the one place where the machine is asked for the time."""

    as_of: str = ""

    def now(self) -> datetime:
        """The as-of time in UTC."""
        if not self.as_of:
            return datetime.now(UTC).replace(microsecond=0)
        moment = datetime.fromisoformat(self.as_of)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
