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
            if "unchanged" in metadata:
                return
            told = [form.format(metadata[name].value) for name, form in SHOWN.items() if name in metadata]
            self.say("·", event.asset_key.to_user_string(), "  ".join(told))
        elif event.event_type_value == "ASSET_CHECK_EVALUATION" and not event.event_specific_data.passed:
            evaluation = event.event_specific_data
            self.say("!", evaluation.asset_key.to_user_string(), f"check {evaluation.check_name} failed")
        elif event.event_type_value == "STEP_FAILURE":
            self.say("✗", event.step_key, event.event_specific_data.error_display_string.splitlines()[0])

    def say(self, mark: str, name: str, told: str) -> None:
        sys.stdout.write(f"  {time.monotonic() - self.began:6.1f}s {mark} {name:<44} {told}\n")
        sys.stdout.flush()


@dg.logger(config_schema=None, description="One line an asset, for a person at a terminal.")
def progress(_: dg.InitLoggerContext) -> logging.Logger:
    logger = logging.Logger("kizuna.progress", level=logging.DEBUG)
    logger.addHandler(ProgressHandler())
    return logger
