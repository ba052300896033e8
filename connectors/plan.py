"""The difference between who should be in an audience and who is: computed as sets in DuckDB over the lake's Parquet.

    wanted (audience mart ⋈ contact points ⋈ consents) − confirmed (vendor's list, else receipts) = adds
    confirmed by us − wanted = removals
    both, with another payload = updates
    wanted, but not allowed = blocked, with a reason

A plan is a file: who, what, why; hashes of payloads, no clear address. Whoever applies it checks that the world it was
made from still stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from connectors.audience import Audience, Destination, FieldType
from connectors.lake import Lake
from connectors.receipts import Receipts, quoted

KEPT_PLANS = 10
RETRY_REJECTED_DAYS = 7
"""A row the vendor rejected is sent again when its payload changes or after this many days, not every night."""

NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")


class PlanError(Exception):
    """The plan cannot be made or read; the message names the dataset and column."""


@dataclass(frozen=True)
class Plan:
    """What `apply` would do. `path` is its Parquet file (`customer_id, member_key, action, payload_hash, reason`)."""

    plan_id: str
    destination: str
    audience: Audience
    audience_id: str | None
    as_of: datetime
    fingerprint: str
    wanted: int
    confirmed_before: int | None
    """Members now; None when neither the vendor nor the receipts can tell."""
    added: int
    updated: int
    removed: int
    removed_for_opt_out: int
    blocked: dict[str, int]
    read_back: pa.Table | None = field(default=None, repr=False, compare=False)
    """The vendor's list as the plan saw it; kept in memory only."""

    @property
    def dataset(self) -> str:
        return f"plans/{self.destination}/{self.audience.name}"

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.updated or self.removed)

    def save(self, lake: Lake, connection: duckdb.DuckDBPyConnection) -> None:
        """Write the rows (table `actions` of the connection) and the summary, and drop the oldest plans."""
        with lake.commit(self.dataset, self.plan_id) as path:
            connection.execute(
                f"""COPY (SELECT customer_id, member_key, action, payload_hash, reason FROM actions
                ORDER BY action, member_key, customer_id) TO {quoted(path)} (FORMAT parquet)"""
            )
        summary = {name: value for name, value in self.__dict__.items() if name != "read_back"}
        summary |= {"audience": self.audience.model_dump(mode="json"), "as_of": self.as_of.isoformat()}
        lake.write_json(f"{self.dataset}/{self.plan_id}.json", summary)
        for old in lake.files(self.dataset)[:-KEPT_PLANS]:
            relative = old.removeprefix(lake.root)
            lake.remove(relative.removesuffix(".parquet") + ".json")
            lake.remove(relative)

    @classmethod
    def load(cls, lake: Lake, destination: str, audience: str, plan_id: str) -> Plan:
        """A saved plan, to be applied by another process than made it."""
        summary = lake.read_json(f"plans/{destination}/{audience}/{plan_id}.json")
        summary |= {
            "audience": Audience(**summary["audience"]),
            "as_of": datetime.fromisoformat(summary["as_of"]),
        }
        return cls(**summary)


def world_fingerprint(lake: Lake, audience: Audience, receipts: Receipts) -> str:
    """Changes when the audience, the contact points, the consents or the receipts change."""
    return lake.fingerprint(audience.mart, "marts/contact_points", "marts/consents", receipts.dataset)


def field_types(
    connection: duckdb.DuckDBPyConnection, lake: Lake, audience: Audience, destination: Destination
) -> dict[str, FieldType]:
    """Vendor's field → its type, from the mart's columns; empty for vendors that take no fields."""
    if not destination.takes_fields or not audience.fields:
        return {}
    columns = _columns(connection, lake, audience)
    missing = [column for column in audience.fields.values() if column not in columns]
    if missing:
        raise PlanError(f"{audience.mart} has no column {missing[0]}, which the audience's fields name")
    return {tag: _field_type(columns[column]) for tag, column in sorted(audience.fields.items())}


def compare(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    audience: Audience,
    destination: Destination,
    *,
    as_of: datetime,
    read_back: pa.Table | None,
    opt_outs: pa.Table,
    types: Mapping[str, FieldType],
) -> None:
    """Create the tables `candidates`, `members` and `actions`; the table `receipts` must be registered."""
    connection.register("opt_outs", opt_outs)
    _create_candidates(connection, lake, audience, destination, as_of, types)
    _create_members(connection, read_back)
    can_update = bool(types) or not destination.takes_fields
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE actions AS
        WITH allowed AS (SELECT * FROM candidates WHERE reason IS NULL),
        blocked AS (SELECT member_key, min(reason) AS reason, min(customer_id) AS customer_id
            FROM candidates WHERE reason IS NOT NULL GROUP BY ALL),
        -- Pending and archived members are not shown in the vendor's list, yet they may come back to life in it.
        hidden AS (SELECT r.member_key, o.address, r.customer_id, r.is_ours, NULL AS payload_hash
            FROM receipts r JOIN opt_outs o ON o.key = r.member_key
            WHERE r.in_audience IS DISTINCT FROM false AND r.member_key NOT IN (SELECT member_key FROM members)),
        leaving AS (SELECT * FROM members UNION ALL SELECT * FROM hidden)
        SELECT a.customer_id, a.member_key, 'add' AS action, a.payload_hash, NULL AS reason, true AS is_ours,
            NULL AS address
        FROM allowed a ANTI JOIN members m USING (member_key)
        UNION ALL
        SELECT a.customer_id, a.member_key, 'update', a.payload_hash, NULL, m.is_ours, NULL
        FROM allowed a JOIN members m USING (member_key)
        WHERE {str(can_update).lower()} AND a.payload_hash IS DISTINCT FROM m.payload_hash
        UNION ALL
        SELECT coalesce(l.customer_id, b.customer_id), l.member_key, 'remove', NULL,
            CASE WHEN o.key IS NOT NULL THEN 'vendor_opt_out' ELSE coalesce(b.reason, 'left') END, true, l.address
        FROM leaving l LEFT JOIN blocked b USING (member_key) LEFT JOIN opt_outs o ON o.key = l.member_key
        WHERE l.is_ours AND l.member_key NOT IN (SELECT member_key FROM allowed)
        UNION ALL
        SELECT customer_id, member_key, 'blocked', payload_hash, reason, NULL, NULL FROM candidates
        WHERE reason IS NOT NULL"""
    )


def counts(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """The numbers of the tables that `compare` made."""
    by_action = dict(connection.execute("SELECT action, count(*) FROM actions GROUP BY action").fetchall())
    blocked = connection.execute(
        "SELECT reason, count(*) FROM actions WHERE action = 'blocked' GROUP BY reason ORDER BY reason"
    ).fetchall()
    opted_out = connection.execute(
        "SELECT count(*) FROM actions WHERE action = 'remove' AND reason = 'vendor_opt_out'"
    ).fetchall()
    return {
        "wanted": connection.execute("SELECT count(*) FROM candidates").fetchall()[0][0],
        "added": by_action.get("add", 0),
        "updated": by_action.get("update", 0),
        "removed": by_action.get("remove", 0),
        "removed_for_opt_out": opted_out[0][0],
        "blocked": dict(blocked),
    }


def naive_utc(moment: datetime) -> datetime:
    """UTC without zone, as everything in the lake is stored."""
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _create_candidates(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    audience: Audience,
    destination: Destination,
    as_of: datetime,
    types: Mapping[str, FieldType],
) -> None:
    """One row a wanted customer: key, identifiers, fields, consent, and why not, if not."""
    columns = _columns(connection, lake, audience)
    fields = ", ".join(
        f'"{tag}" := {_field_sql(column, columns[column])}'
        for tag, column in sorted(audience.fields.items())
        if tag in types
    )
    identifiers = ", ".join(f'"{name}" := {sql}' for name, sql in destination.identifiers.items())
    contacts = ", ".join(
        f"first(identifier ORDER BY is_primary DESC, identifier) FILTER (WHERE identifier_type = '{kind}') AS {kind}"
        if kind in destination.identifier_types
        else f"NULL::VARCHAR AS {kind}"
        for kind in ("email", "phone")
    )
    has_contact = " OR ".join(f"{kind} IS NOT NULL" for kind in destination.identifier_types)
    # Where a repeat would act twice and nobody can be asked, a row of unknown outcome stays unknown.
    can_settle = destination.idempotent_repeat or destination.lists_members
    unknown_stays = "false" if can_settle else "r.state IN ('sent', 'unknown')"
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE candidates AS
        WITH wanted AS (
            SELECT customer_id, {f"to_json(any_value(struct_pack({fields})))" if fields else "'{}'"}::VARCHAR AS fields
            FROM read_parquet($mart) GROUP BY customer_id),
        statements AS (
            SELECT * FROM read_parquet($consents) WHERE channel = $channel AND purpose = $purpose),
        contact_points AS (SELECT * FROM read_parquet($contact_points) WHERE channel = $channel),
        chosen AS (
            SELECT customer_id, {contacts}, first(country ORDER BY is_primary DESC, identifier) AS country
            FROM contact_points GROUP BY customer_id),
        -- An address is shared by a family: whoever of them said no is not reached through it.
        refused AS (
            SELECT DISTINCT identifier FROM contact_points JOIN statements USING (customer_id)
            WHERE decision = 'denied' AND identifier IS NOT NULL),
        keyed AS (
            SELECT w.customer_id, w.fields, {destination.member_key} AS member_key, {has_contact} AS has_contact,
                country,
                CASE WHEN email NOT IN (FROM refused) THEN email END AS email,
                CASE WHEN phone NOT IN (FROM refused) THEN phone END AS phone
            FROM (SELECT w.*, c.email, c.phone, c.country
                FROM wanted w LEFT JOIN chosen c USING (customer_id)) AS w),
        written AS (
            SELECT *, {has_contact} AS has_free_contact, to_json(struct_pack({identifiers}))::VARCHAR AS identifiers
            FROM keyed),
        judged AS (
            SELECT w.customer_id, w.member_key, w.identifiers, w.fields,
                sha256(w.identifiers || '|' || w.fields) AS payload_hash,
                s.decision, s.reason AS consent_reason, s.evidence, s.decided_at,
                CASE
                    WHEN s.decision IS NULL THEN 'no_consent'
                    WHEN s.decision <> 'granted' THEN 'denied'
                    WHEN s.evidence IS NULL OR s.evidence = '' OR s.decided_at IS NULL THEN 'no_evidence'
                    WHEN w.has_contact IS NOT TRUE OR w.member_key IS NULL THEN 'no_identifier'
                    WHEN NOT w.has_free_contact THEN 'shared_with_denied'
                    WHEN o.key IS NOT NULL THEN 'vendor_opt_out'
                    WHEN r.state = 'rejected' AND r.action = 'add' AND r.as_of > $as_of - to_days({RETRY_REJECTED_DAYS})
                        AND r.payload_hash = sha256(w.identifiers || '|' || w.fields) THEN 'rejected_before'
                    WHEN {unknown_stays} THEN 'outcome_unknown'
                END AS reason
            FROM written w
            LEFT JOIN statements s USING (customer_id)
            LEFT JOIN opt_outs o ON o.key = w.member_key
            LEFT JOIN receipts r ON r.member_key = w.member_key)
        SELECT * REPLACE (
            CASE WHEN reason IS NULL AND row_number() OVER (
                PARTITION BY member_key, reason IS NULL ORDER BY customer_id) > 1
            THEN 'duplicate_identifier' ELSE reason END AS reason)
        FROM judged""",
        {
            "mart": lake.glob(audience.mart),
            "consents": lake.glob("marts/consents"),
            "contact_points": lake.glob("marts/contact_points"),
            "channel": destination.channel,
            "purpose": audience.purpose,
            "as_of": as_of,
        },
    )


def _create_members(connection: duckdb.DuckDBPyConnection, read_back: pa.Table | None) -> None:
    """Who is in the audience now. The vendor's list where it has one, else what the receipts say."""
    # An update whose outcome is not known has left an unknown payload behind.
    payload_hash = """CASE WHEN r.state = 'failed' OR (r.action = 'update' AND r.state IN ('sent', 'unknown')) THEN NULL
        ELSE r.payload_hash END"""
    if read_back is None:
        source = f"""SELECT member_key, NULL::VARCHAR AS address, customer_id, is_ours, {payload_hash} AS payload_hash
            FROM receipts r WHERE in_audience OR (in_audience IS NULL AND action = 'remove')"""
    else:
        connection.register("read_back", read_back)
        source = f"""SELECT v.key AS member_key, v.address, r.customer_id,
                coalesce(r.is_ours AND r.in_audience IS DISTINCT FROM false, false) AS is_ours,
                {payload_hash} AS payload_hash
            FROM read_back v LEFT JOIN receipts r ON r.member_key = v.key"""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE members AS {source}")


def _columns(connection: duckdb.DuckDBPyConnection, lake: Lake, audience: Audience) -> dict[str, str]:
    described = connection.execute(
        "DESCRIBE SELECT * FROM read_parquet($mart)", {"mart": lake.glob(audience.mart)}
    ).fetchall()
    return {row[0]: row[1] for row in described}


def _field_type(sql_type: str) -> FieldType:
    if sql_type in NUMBERS or sql_type.startswith(("DECIMAL", "DOUBLE", "FLOAT")):
        return "number"
    return "date" if sql_type.startswith(("DATE", "TIMESTAMP")) else "text"


def _field_sql(column: str, sql_type: str) -> str:
    if sql_type in ("DOUBLE", "FLOAT"):
        # The last digits of a score differ between engines and runs; a change nobody can see is not worth a request.
        return f'round("{column}", 4)'
    if _field_type(sql_type) == "date":
        return f"strftime(\"{column}\", '%Y-%m-%d')"
    return f'"{column}"' if _field_type(sql_type) == "number" else f'"{column}"::VARCHAR'
