"""What a source declares about itself: columns with types, keys, cursors, marks for personal fields, and how it reads.

Everything else (landing, bookmarks, key sweeps, contracts, assets, documents) is derived from these declarations.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from connectors.http import Session
    from connectors.settings import VendorConfig

# The columns that landing adds to every raw table, after the declared ones.
LANDING_COLUMNS = {
    "_extra": "VARCHAR",
    "_landed_at": "TIMESTAMP",
    "_is_deleted": "BOOLEAN",
    "_row_hash": "VARCHAR",
}


@dataclass(frozen=True)
class Column:
    """One declared field: the vendor's own name and a DuckDB type (nested ones as STRUCT and lists).

    `is_required`: the vendor always sends it filled; a row without it is rejected, many rows without it are a broken
    contract. `is_personal`: its values never appear in messages.
    """

    name: str
    type: str
    is_required: bool = False
    is_personal: bool = False


def columns(
    types: Mapping[str, str], *, required: Iterable[str] = (), personal: Iterable[str] = ()
) -> tuple[Column, ...]:
    """Columns from name → DuckDB type; ValueError when a mark names a column that is not declared."""
    required, personal = set(required), set(personal)
    unknown = (required | personal) - set(types)
    if unknown:
        raise ValueError(f"marked but not declared: {', '.join(sorted(unknown))}")
    return tuple(Column(name, type_, name in required, name in personal) for name, type_ in types.items())


@dataclass(frozen=True)
class Stream:
    """One table of a vendor.

    `key` names the columns that identify a row. `cursor` is the column whose largest landed value, less `overlap`, is
    where the next read starts (None: every read is a full one). Without `partition_by` every version that landed is
    kept; with it whole files are replaced, one for each value of that column. `sweep_every` is how often the vendor's
    key list is compared with the landed keys to see deletes and merges (None: never). `provisional` is the prefix of
    partitions that only stand in until the one without the prefix exists.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ("id",)
    cursor: str | None = None
    overlap: timedelta = timedelta(minutes=5)
    partition_by: str | None = None
    sweep_every: timedelta | None = timedelta(days=1)
    provisional: str | None = None

    def __post_init__(self) -> None:
        declared = {column.name for column in self.columns}
        needed = {*self.key, *filter(None, (self.cursor, self.partition_by))}
        if needed - declared:
            raise ValueError(
                f"{self.name}: key, cursor or partition not among the columns: {', '.join(sorted(needed - declared))}"
            )

    @property
    def types(self) -> dict[str, str]:
        """Declared name → DuckDB type."""
        return {column.name: column.type for column in self.columns}

    @property
    def table_types(self) -> dict[str, str]:
        """Name → type of the landed table: the declared columns, then what landing adds."""
        return self.types | LANDING_COLUMNS

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.is_required)

    @property
    def personal(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.is_personal)


@dataclass(frozen=True)
class Page:
    """Some rows as the vendor sent them.

    `content`: one JSON document (bytes) with the rows at `path`; or lines of JSON, one row each, in memory or in a file
    (`is_lines`); or Python objects. `constants` are columns the payload lacks (the list a member was read from).
    `unwrap` names columns whose value stands one level deeper on the wire (a GraphQL connection's `nodes`). `children`
    says, for files where nested rows are lines of their own, which column the lines with an id of that prefix belong
    to. `is_deleted` marks rows that the vendor lists as deleted. `partitions` names the partitions whose rows (perhaps
    none) these are, each with the vendor's mark of its version.
    """

    content: bytes | Path | list[dict[str, Any]]
    path: tuple[str, ...] = ()
    is_lines: bool = False
    constants: Mapping[str, str] = field(default_factory=dict)
    unwrap: Mapping[str, str] = field(default_factory=dict)
    children: Mapping[str, str] = field(default_factory=dict)
    is_deleted: bool = False
    partitions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bookmark:
    """Where the lake stands: read what changed at or after `since` (None: everything there is).

    `as_of` is the pipeline's clock. `partitions` holds, for partitioned streams, what has landed: name → the vendor's
    mark of the version.
    """

    as_of: datetime
    since: datetime | None = None
    partitions: Mapping[str, str] = field(default_factory=dict)


class Vendor(Protocol):
    """An opened source: credentials in hand, one budget, ready to be read."""

    session: "Session"

    def read(self, stream: Stream, bookmark: Bookmark) -> Iterator[Page]:
        """Pages of everything the bookmark has not seen; rows it has seen may come again."""
        ...

    def keys(self, stream: Stream) -> Iterator[Page]:
        """Pages holding at least the key of every row the vendor has now (for streams with `sweep_every`)."""
        ...

    def fetch(self, stream: Stream, keys: Sequence[str]) -> Iterator[Page]:
        """Pages of the rows with these keys (the first key column); those the vendor no longer has are left out."""
        ...


@dataclass(frozen=True)
class Source:
    """A vendor to read: its name in the lake, its configuration, its streams, and how to open it."""

    name: str
    config: "type[VendorConfig]"
    streams: tuple[Stream, ...]
    open: Callable[[Any], Vendor]

    def stream(self, name: str) -> Stream:
        for stream in self.streams:
            if stream.name == name:
                return stream
        raise KeyError(f"{self.name} has no stream {name!r}; it has {', '.join(s.name for s in self.streams)}")
