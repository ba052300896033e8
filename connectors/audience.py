"""What an audience is, what travels to a vendor for it, and what a vendor must be able to do to receive it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors.consent import ConsentDecision
from connectors.http import Metrics

FieldType = Literal["number", "date", "text"]
"""What a payload column is for a vendor that wants typed fields."""


class Audience(BaseModel):
    """One audience as an analyst declares it: a mart of `customer_id` and payload columns, and where it goes.

    Shares are fractions of the membership the vendor has confirmed; None lifts a guard.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = ""
    destinations: tuple[str, ...] = ()
    purpose: str = "marketing"
    fields: dict[str, str] = Field(default_factory=dict)
    """Vendor's field ← payload column of the mart."""
    minimum_size: int = Field(1, ge=0)
    maximum_added_share: float | None = Field(1.0, ge=0)
    maximum_removed_share: float | None = Field(0.5, ge=0, le=1)
    maximum_age_hours: float | None = Field(36.0, gt=0)
    """The mart may not be older than this when it is pushed."""
    requires_models: tuple[str, ...] = ()

    @field_validator("fields")
    @classmethod
    def _columns_are_names(cls, fields: dict[str, str]) -> dict[str, str]:
        for column in fields.values():
            if not column.isidentifier():
                raise ValueError(f"{column!r} is not a column name")
        return fields

    @property
    def mart(self) -> str:
        """The lake's address of its rows."""
        return f"marts/{self.name}"


@dataclass(frozen=True, slots=True)
class Member:
    """One person's payload for one vendor. It cannot be built without a decision that grants channel and purpose.

    `key` is the vendor's own name for the person (a hash), `identifiers` what finds the person there, written and
    hashed as the vendor wants, `fields` the payload columns.
    """

    customer_id: str
    key: str
    identifiers: Mapping[str, str]
    fields: Mapping[str, Any]
    channel: str
    purpose: str
    consent: ConsentDecision

    def __post_init__(self) -> None:
        self.consent.require(self.channel, self.purpose)
        if not self.identifiers:
            raise ValueError("a member without identifiers reaches nobody")


@dataclass(frozen=True, slots=True)
class Departure:
    """Somebody to take out of an audience. Leaving needs no consent and carries no payload."""

    customer_id: str
    key: str
    address: str | None
    """How the vendor lists the person, where it takes no key; None where it does."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the vendor said about one row."""

    key: str
    state: Literal["accepted", "rejected"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """A vendor's own count of an audience, exact or rounded; not settled while the vendor still works on changes."""

    lower: int
    upper: int
    is_settled: bool


class BatchRefused(Exception):
    """The vendor refused a batch as a whole, or some of it without saying which rows.

    Where repeating is not harmless this may be raised only if nothing of the batch took effect: the engine sends the
    halves again until the bad row stands alone.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


MEMBERSHIP = pa.schema([("key", pa.string()), ("address", pa.string())])
OPT_OUTS = pa.schema([("key", pa.string()), ("address", pa.string()), ("status", pa.string())])


class Destination(Protocol):
    """One vendor. Consent, differences, batches, receipts and guards are the engine's; this is only the protocol.

    The SQL expressions may use the columns `customer_id`, `email`, `phone` and `country`.
    """

    name: str
    channel: str
    identifier_types: tuple[str, ...]
    """Contact points that find a person here; one of them is needed."""
    member_key: str
    """SQL: the vendor's name for the person."""
    identifiers: Mapping[str, str]
    """Vendor's identifier ← SQL."""
    takes_fields: bool
    lists_members: bool
    """Whether the vendor shows who is in an audience; where it does not, receipts are the only list."""
    batch_size: int
    removal_batch_size: int
    idempotent_repeat: bool
    """Whether sending a row again is harmless; where it is not, a row of unknown outcome is never sent again."""

    def find_audience(self, audience: Audience, known_id: str | None) -> str | None:
        """The audience's id at the vendor (the one used before, else by name), None when there is none."""

    def ensure_audience(self, audience: Audience, known_id: str | None, field_types: Mapping[str, FieldType]) -> str:
        """The audience's id, made with its fields where they are missing."""

    def read_back(self, audience_id: str) -> pa.Table:
        """Everybody whom the vendor lists in the audience (`MEMBERSHIP`); asked only where it `lists_members`."""

    def opt_outs(self) -> pa.Table:
        """Everybody whom the vendor says we must not reach (`OPT_OUTS`), as of now."""

    def add(self, audience_id: str, members: Sequence[Member]) -> list[Outcome]: ...

    def update(self, audience_id: str, members: Sequence[Member]) -> list[Outcome]: ...

    def remove(self, audience_id: str, departures: Sequence[Departure]) -> list[Outcome]: ...

    def count(self, audience_id: str) -> Count:
        """The vendor's own count; waits for it to settle, within bounds."""

    def snapshot(self) -> Metrics:
        """Requests, seconds and waiting so far."""
