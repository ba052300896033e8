"""Consent as a type: whoever builds a payload must hold a decision that grants it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


class ConsentMissing(ValueError):
    """A payload was about to be built for somebody who has not said yes. Nothing may be sent for this person."""


@dataclass(frozen=True, slots=True)
class ConsentDecision:
    """What one person has said about one channel and purpose, and where it is written.

    Unknown is denied. A grant must name its evidence (system, record and state) and its time, so that a yes can
    always be shown to the person who asks for it; a grant without them raises `ConsentMissing`.
    """

    channel: str
    purpose: str
    granted: bool
    reason: str
    evidence: str
    decided_at: datetime | None

    def __post_init__(self) -> None:
        if self.granted and (not self.evidence or self.decided_at is None):
            raise ConsentMissing(
                f"a grant for {self.channel}/{self.purpose} without evidence or time counts as no; "
                "repair the consents mart"
            )

    @classmethod
    def unknown(cls, channel: str, purpose: str) -> ConsentDecision:
        """The decision of somebody who never said anything: no."""
        return cls(channel, purpose, granted=False, reason="no_consent", evidence="", decided_at=None)

    def require(self, channel: str, purpose: str) -> None:
        """Raise `ConsentMissing` unless this decision grants exactly this channel and purpose."""
        if not self.granted:
            raise ConsentMissing(f"consent for {channel}/{purpose} is denied ({self.reason})")
        if (self.channel, self.purpose) != (channel, purpose):
            raise ConsentMissing(f"consent for {self.channel}/{self.purpose} says nothing about {channel}/{purpose}")
