"""What stops a push before anything is sent: runaway changes, an empty or stale source, a model nobody vouches for.

A guard that trips sends nothing. Where a guard cannot know its denominator it trips: not knowing how many people are
in an audience is no reason to remove them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.audience import Audience
from connectors.lake import Lake

MODEL_CARD_DAYS = 35
"""A model whose newest training data are older than this is stale."""


class GuardTripped(Exception):
    """Nothing was sent; the message says which guard and what to look at."""


class ApplyInProgress(Exception):
    """Another process is pushing this audience to this destination right now."""


def check_source(lake: Lake, audience: Audience, as_of: datetime) -> None:
    """Raise `GuardTripped` for a mart that is missing or stale, or a model that is not promoted or stale."""
    for mart in (audience.mart, "marts/contact_points", "marts/consents"):
        if not lake.files(mart):
            raise GuardTripped(f"{audience.name}: {mart} does not exist; build it first")
    files = lake.files(audience.mart)
    if audience.maximum_age_hours is not None:
        age = max(_age_hours(lake, file) for file in files)
        if age > audience.maximum_age_hours:
            raise GuardTripped(
                f"{audience.name}: its mart is {age:.0f} hours old, more than {audience.maximum_age_hours:.0f}; "
                "build the audience again"
            )
    for model in audience.requires_models:
        _check_model(lake, audience, model, as_of)


def check_changes(
    audience: Audience, *, wanted: int, confirmed: int | None, added: int, updated: int, removed: int
) -> None:
    """Raise `GuardTripped` where the change is larger than declared, or the audience smaller.

    `confirmed` is the membership now, None when it is unknown. `removed` leaves out those who said no at the vendor:
    no guard may keep them in.
    """
    if not added and not removed and not updated:
        return
    if confirmed is None:
        raise GuardTripped(
            f"{audience.name}: the vendor has members of whom there is no receipt, so no share can be computed; "
            "restore the receipts or delete the audience at the vendor"
        )
    if not wanted and removed:
        raise GuardTripped(
            f"{audience.name}: its mart is empty while {confirmed} people are members; look at the model"
        )
    if wanted < audience.minimum_size and (added or updated or removed):
        raise GuardTripped(
            f"{audience.name}: {wanted} people are wanted, fewer than its minimum size {audience.minimum_size}"
        )
    for name, changed, limit in (
        ("added", added, audience.maximum_added_share),
        ("removed", removed, audience.maximum_removed_share),
    ):
        # The first fill has nothing to be a share of.
        if limit is not None and confirmed and changed > limit * confirmed:
            raise GuardTripped(
                f"{audience.name}: {changed} people would be {name}, {changed / confirmed:.0%} of {confirmed} members; "
                f"maximum_{name}_share is {limit:.0%}"
            )


@contextmanager
def apply_lock(lake: Lake, destination: str, audience: str) -> Iterator[None]:
    """Hold the only right to push one audience to one destination; raises `ApplyInProgress` when somebody has it.

    A lock of the operating system: it ends with its process, however that ends. It holds off other processes of this
    machine; several machines on one lake need a scheduler that runs one at a time.
    """
    folder = Path(lake.root) / "_writing" if lake.is_local else Path(tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(f"{lake.root}|{destination}|{audience}".encode()).hexdigest()[:16]
    handle = os.open(folder / f"{destination}-{audience}-{digest}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ApplyInProgress(f"{destination}/{audience} is being pushed by another process") from None
        os.utime(handle)  # the lake sweeps what looks abandoned
        yield
    finally:
        os.close(handle)


def _age_hours(lake: Lake, file: str) -> float:
    facts = lake.filesystem.info(file)
    written: Any = facts.get("mtime") or facts.get("LastModified") or facts.get("created") or 0
    seconds = written.timestamp() if isinstance(written, datetime) else float(written)
    return (time.time() - seconds) / 3600


def _check_model(lake: Lake, audience: Audience, model: str, as_of: datetime) -> None:
    try:
        card = lake.read_json(f"scores/{model}/card.json")
    except FileNotFoundError:
        raise GuardTripped(f"{audience.name}: model {model} has no card; train it first") from None
    # A new version that was turned down leaves the older one in use; what counts is whether that one still passes.
    if not card.get("in_use_passes", card.get("promoted")) or not card.get("trained_at"):
        reason = card.get("reason", "no reason given")
        raise GuardTripped(f"{audience.name}: nobody vouches for model {model} ({reason})")
    trained_at = datetime.fromisoformat(str(card["trained_at"]))
    if as_of.replace(tzinfo=None) - trained_at.replace(tzinfo=None) > timedelta(days=MODEL_CARD_DAYS):
        raise GuardTripped(f"{audience.name}: model {model} was trained over {MODEL_CARD_DAYS} days ago")
