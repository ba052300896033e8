"""What a section of the report is made of: numbers, charts, tables, and the ways they are filled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestration.report import figures as draw
from orchestration.report.queries import PERIOD_DAYS, Rows
from orchestration.report.words import Words

STAGES = ("awareness", "consideration", "decision", "purchase", "evaluation", "loyalty", "lapse")
MODELS = ("first", "last", "linear", "position", "time_decay", "markov")
CHANNELS = (
    "email", "paid_search", "paid_social", "organic_search", "referral", "direct", "other", "unattributed",
)  # fmt: skip
STEPS = ("visits", "views", "baskets", "checkouts", "purchases")
STANDINGS = ("reached", "never_asked", "denied", "no_address")
REACH = ("email", "sms", "ad")
RFM = (
    "champions", "loyal", "cannot_lose_them", "at_risk", "potential_loyalists", "recent", "promising",
    "need_attention", "about_to_sleep", "hibernating", "lost",
)  # fmt: skip
# More would be a wall: further currencies and groups are counted, not drawn.
CURRENCIES, GROUPS, MOVERS = 3, 60, 12
NO_BREAK = "\u00a0"


@dataclass
class Number:
    """A figure that stands above the charts."""

    label: str
    value: str
    hint: str = ""
    change: str = ""
    is_good: bool | None = None

    @property
    def is_long(self) -> bool:
        """Whether it needs smaller letters; Japanese ones are twice as wide."""
        return sum(2 if ord(letter) > 0x2E80 else 1 for letter in self.value) > 11


@dataclass
class Chart:
    """A picture with its title, a help to read it and a table of its figures; `empty` is said instead of a picture."""

    key: str
    title: str
    help: str
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    figure: draw.Figure | None = None
    empty: str = ""
    note: str = ""
    is_wide: bool = False


@dataclass
class Section:
    key: str
    title: str
    intro: str
    numbers: list[Number] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    empty: str = ""


def periods(rows: Rows, currency: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The rows of the period and of the one before; a period that the shop has only partly seen cannot be compared."""
    found = {row["period"]: row for row in rows if row["currency"] == currency}
    before = found.get("before")
    if before and before.get("day_count", PERIOD_DAYS) < PERIOD_DAYS:
        before = None
    return found.get("now"), before


def number_of(
    words: Words, label: str, hint: str, now: Mapping[str, Any], before: Mapping[str, Any] | None, key: str,
    say: Callable[[Any], str], is_share: bool = False,
) -> Number:  # fmt: skip
    """A figure with its change: in percent, or in points where it is a share itself. `hint` is a text or its key."""
    hint = words(f"{hint}_hint") if hint.startswith("sales.") else hint
    value, earlier = now[key], before[key] if before else None
    said = "–" if value is None else say(value)
    if value is None or earlier is None or (not is_share and not earlier):
        return Number(label, said, hint, words("change.none"))
    if is_share:
        change = (value - earlier) * 100
        told = words("change.points", points=words.number(abs(change), 1))
    else:
        change = float(value) / float(earlier) * 100 - 100
        told = words.percent(abs(change) / 100)
    if abs(change) < 0.05:
        return Number(label, said, hint, words("change.same", days=PERIOD_DAYS))
    direction = "change.up" if change > 0 else "change.down"
    return Number(label, said, hint, words(direction, change=told, days=PERIOD_DAYS), change > 0)


def counts_chart(
    words: Words, key: str, text: str, headers: Sequence[str], rows: Sequence[Sequence[str]],
    counts: Iterable[tuple[str, int]], empty: str = "",
) -> Chart:  # fmt: skip
    """Bars of counts; `text` is the key of the title, with `_chart` where it has one, and of the `_help`."""
    labels, values = [list(column) for column in zip(*counts, strict=True)] or ([], [])
    figure = draw.bars(labels, [("", values, [words.number(value) for value in values])]) if values else None
    title = words(text if not text.startswith("identity.") else f"{text}_chart")
    return Chart(key, title, words(f"{text}_help") if values else "", headers, rows, figure, empty)


def named_counts(words: Words, key: str, text: str, kind: str, rows: Rows, column: str, count: str) -> Chart:
    """Bars of the counts of a mart's named values."""
    counts = [(words.name(kind, row[column]), row[count]) for row in rows]
    table = [[name, words.number(value)] for name, value in counts]
    headers = [words("identity.guard"), words("identity.count")]
    return counts_chart(words, key, text, headers, table, counts, words(f"{text}_empty"))


def title_case(category: str) -> str:
    """A category of a catalogue in capitals, as one would write it."""
    return " ".join(category.split()).capitalize() if category.isupper() else category
