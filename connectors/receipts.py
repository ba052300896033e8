"""What was sent to a vendor and what came of it: one row a person, audience and destination, never a clear address.

planned (in `plans/`) → sent → accepted → confirmed, or rejected with a reason, or unknown (no answer came back), or
failed (the vendor surely took nothing). The intent is on disk before a batch leaves, the outcome after; whoever is
killed in between leaves rows in state `sent`, which the next run settles by asking the vendor or by sending again.

Every commit is one file with the next sequence number; the newest row of a person counts. Compaction at the end of a
run leaves one file with one row a person, so receipts do not grow without end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.lake import Lake

SCHEMA = pa.schema(
    [
        ("sequence", pa.int64()),
        ("audience_id", pa.string()),
        ("customer_id", pa.string()),
        ("member_key", pa.string()),
        ("action", pa.string()),
        ("payload_hash", pa.string()),
        ("state", pa.string()),
        ("reason", pa.string()),
        ("is_ours", pa.bool_()),
        ("as_of", pa.timestamp("us")),
    ]
)

# Whether the person is in the vendor's audience, as far as the answers tell; NULL: the vendor has to be asked.
IN_AUDIENCE = """CASE
    WHEN state IN ('sent', 'unknown') AND action = 'update' THEN true
    WHEN state IN ('sent', 'unknown') THEN NULL
    WHEN state IN ('rejected', 'failed') THEN action <> 'add'
    ELSE action <> 'remove'
END"""


@dataclass(frozen=True, slots=True)
class Receipt:
    customer_id: str
    member_key: str
    action: str
    payload_hash: str | None
    state: str
    reason: str
    is_ours: bool
    """Whether we put the person in; who was there before us is never taken out by us."""


class Receipts:
    """The receipts of one audience at one destination."""

    def __init__(self, lake: Lake, destination: str, audience: str) -> None:
        self._lake = lake
        self.dataset = f"receipts/{destination}/{audience}"
        self._sequence = 0
        self.audience_id: str | None = None
        """The vendor's audience that was written last; None before the first receipt."""
        if files := lake.files(self.dataset):
            # Files are named by their sequence number, and one file speaks of one audience of the vendor.
            newest = files[-1]
            self._sequence = int(newest.rsplit("/", 1)[-1].removesuffix(".parquet"))
            with lake.filesystem.open(newest, "rb") as file:
                self.audience_id = pq.read_table(file, columns=["audience_id"])["audience_id"][0].as_py()

    def register(self, connection: duckdb.DuckDBPyConnection, audience_id: str | None) -> None:
        """Create the view `receipts`: the newest row of every person in this audience of the vendor.

        Rows of another id say nothing: that audience was deleted at the vendor, with everybody in it.
        """
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE receipts AS
            SELECT *, {IN_AUDIENCE} AS in_audience FROM ({self._source()})
            WHERE audience_id = {"''" if audience_id is None else "$id"}
            QUALIFY row_number() OVER (PARTITION BY member_key ORDER BY sequence DESC) = 1""",
            {} if audience_id is None else {"id": audience_id},
        )

    def write(self, audience_id: str, as_of: datetime, receipts: Iterable[Receipt]) -> None:
        """Commit what is about to happen, or what happened, to one batch."""
        rows = list(receipts)
        if not rows:
            return
        self._sequence += 1
        table = pa.Table.from_pylist(
            [
                {
                    "sequence": self._sequence,
                    "audience_id": audience_id,
                    "customer_id": row.customer_id,
                    "member_key": row.member_key,
                    "action": row.action,
                    "payload_hash": row.payload_hash,
                    "state": row.state,
                    "reason": row.reason,
                    "is_ours": row.is_ours,
                    "as_of": as_of,
                }
                for row in rows
            ],
            schema=SCHEMA,
        )
        with self._lake.commit(self.dataset, f"{self._sequence:012d}") as path:
            pq.write_table(table, path)

    def settle(
        self,
        connection: duckdb.DuckDBPyConnection,
        audience_id: str,
        visible: pa.Table | None,
        is_count_confirmed: bool,
    ) -> None:
        """Mark what the vendor now confirms and leave one file with one row a person.

        `visible` is the vendor's list of members (None where it has none; then `is_count_confirmed` says whether its
        count agrees with the accepted rows). Writes nothing when nothing changed.
        """
        files = self._lake.files(self.dataset)
        self.register(connection, audience_id)
        if visible is not None:
            connection.register("visible", visible)
            confirmed = """(CASE
                WHEN action = 'remove' THEN state IN ('sent', 'unknown', 'accepted') AND NOT is_visible
                WHEN action = 'update' THEN state = 'accepted' AND is_visible
                ELSE state IN ('sent', 'unknown', 'accepted') AND is_visible
            END)"""
            seen = "member_key IN (SELECT key FROM visible)"
        else:
            confirmed = f"(state = 'accepted' AND {str(is_count_confirmed).lower()})"
            seen = "NULL::BOOLEAN"
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE settled AS
            SELECT * EXCLUDE (in_audience, is_visible) REPLACE (
                CASE WHEN {confirmed} THEN 'confirmed' ELSE state END AS state)
            FROM (SELECT *, {seen} AS is_visible FROM receipts)"""
        )
        changed = connection.execute(
            "SELECT count(*) FROM settled JOIN receipts USING (member_key) WHERE settled.state <> receipts.state"
        ).fetchall()[0][0]
        rows = connection.execute("SELECT count(*) FROM settled").fetchall()[0][0]
        if not rows or (len(files) <= 1 and not changed):
            return
        self._sequence += 1
        connection.execute("UPDATE settled SET sequence = ?", [self._sequence])
        with self._lake.commit(self.dataset, f"{self._sequence:012d}") as path:
            connection.execute(f"COPY (FROM settled ORDER BY member_key) TO {quoted(path)} (FORMAT parquet)")
        # Only after the new file stands: a kill in between leaves older rows that the newer ones outrank.
        for file in files:
            self._lake.remove(file.removeprefix(self._lake.root))

    def _source(self) -> str:
        if self._lake.files(self.dataset):
            return f"SELECT * FROM read_parquet({quoted(self._lake.glob(self.dataset))})"
        columns = ", ".join(f"NULL::{_sql_type(field.type)} AS {field.name}" for field in SCHEMA)
        return f"SELECT {columns} WHERE false"


def quoted(text: str) -> str:
    """A SQL text literal; a lake may lie in a folder with an apostrophe."""
    return "'" + text.replace("'", "''") + "'"


def _sql_type(kind: pa.DataType) -> str:
    return {pa.int64(): "BIGINT", pa.string(): "VARCHAR", pa.bool_(): "BOOLEAN"}.get(kind, "TIMESTAMP")
