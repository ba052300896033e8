"""What a person watching a run sees: one line an asset, as it happens."""

from __future__ import annotations

import logging
import sys
import time

import dagster as dg

SHOWN = {
    "dagster/row_count": "{:>11,} rows",
    "rejected rows": "{:,} rejected",
    "added": "+{:,}",
    "removed": "-{:,}",
    "updated": "~{:,}",
    "confirmed": "{:,} confirmed",
    "seconds": "{:.1f} s",
}


class ProgressHandler(logging.Handler):
    """Prints every materialisation, failed check and failure of a run; leaves the rest to Dagster's event log."""

    def __init__(self) -> None:
        super().__init__()
        self.began = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_meta", {}).get("dagster_event")
        if event is None:
            if record.levelno >= logging.WARNING:
                self.say("!", record.getMessage().splitlines()[0], "")
            return
        if event.event_type_value == "ASSET_MATERIALIZATION":
            metadata = event.event_specific_data.materialization.metadata
            # A build has dozens of steps between its marts; they are in Dagster's own log.
            if "unchanged" in metadata or event.asset_key.path[0] in ("staging", "steps"):
                return
            told = [form.format(metadata[name].value) for name, form in SHOWN.items() if name in metadata]
            self.say("·", event.asset_key.to_user_string(), "  ".join(told))
        elif event.event_type_value == "ASSET_CHECK_EVALUATION" and not event.event_specific_data.passed:
            evaluation = event.event_specific_data
            self.say("!", evaluation.asset_key.to_user_string(), f"check {evaluation.check_name} failed")
        elif event.event_type_value == "STEP_FAILURE":
            self.say("✗", event.step_key, why(event))

    def say(self, mark: str, name: str, told: str) -> None:
        # The terminal itself, even while a run's own printing is sent elsewhere.
        terminal = sys.__stdout__ or sys.stdout
        terminal.write(f"  {time.monotonic() - self.began:6.1f}s {mark} {name:<44} {told}\n")
        terminal.flush()


def why(event: dg.DagsterEvent) -> str:
    """What a failed step says of itself: its own description where it gave one, else the error's first line."""
    failure = event.step_failure_data
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip().splitlines()[0] if error else failure.error_display_string.splitlines()[0]


@dg.logger(config_schema=None, description="One line an asset, for a person at a terminal.")
def progress(_: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("kizuna.progress", level=logging.DEBUG)
    logger.addHandler(ProgressHandler())
    return logger
