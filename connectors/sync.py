"""Keeps a vendor's audience in step with the warehouse: plan, then apply, with receipts; running twice sends nothing.

Whatever happens in between (a kill, a lost answer, a half accepted batch), the next run asks the vendor or sends the
row again where that is harmless, and ends in the same state. Who opted out at the vendor is read first and wins.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from connectors.audience import MEMBERSHIP, Audience, BatchRefused, Departure, Destination, Member, Outcome
from connectors.consent import ConsentDecision
from connectors.guards import GuardTripped, apply_lock, check_changes, check_source
from connectors.http import AuthError, RequestRefused, Throttled, VendorError
from connectors.lake import Lake
from connectors.plan import Plan, PlanError, compare, counts, field_types, naive_utc, world_fingerprint
from connectors.receipts import Receipt, Receipts

__all__ = ["GuardTripped", "Plan", "PlanError", "SyncResult", "WorldMoved", "apply", "make_plan"]

logger = logging.getLogger(__name__)

READ_BACK_WAITS = (0.5, 1.0, 2.0)
"""Seconds between looks at the vendor's list while it does not yet show what it accepted."""


class WorldMoved(Exception):
    """The plan was made from a world that is gone; make a new one. Nothing was sent."""


@dataclass
class SyncResult:
    """What one push did. `wanted` - all of `blocked` = `confirmed` when the vendor agrees with us."""

    destination: str
    audience: str
    wanted: int = 0
    added: int = 0
    removed: int = 0
    updated: int = 0
    blocked: dict[str, int] = field(default_factory=dict)
    """Reason → wanted people who are not in, those whom the vendor rejected just now included."""
    rejected: int = 0
    unknown: int = 0
    confirmed: int = 0
    """Wanted and allowed people whom the vendor itself shows or counts."""
    requests: int = 0
    seconds: float = 0.0
    throttled_seconds: float = 0.0

    @property
    def is_in_step(self) -> bool:
        return self.confirmed == self.wanted - sum(self.blocked.values())

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def make_plan(lake: Lake, audience: Audience, destination: Destination, as_of: datetime) -> Plan:
    """The difference between the audience and the vendor, saved under `plans/`; nothing is sent.

    Raises `GuardTripped` for a missing or stale mart or model, `PlanError`, and what the vendor's reads raise.
    """
    check_source(lake, audience, as_of)
    receipts = Receipts(lake, destination.name, audience.name)
    fingerprint = world_fingerprint(lake, audience, receipts)
    with lake.connect() as connection:
        types = field_types(connection, lake, audience, destination)
        audience_id = destination.find_audience(audience, receipts.audience_id)
        read_back = _read_back(destination, audience_id)
        receipts.register(connection, audience_id)
        compare(
            connection,
            lake,
            audience,
            destination,
            as_of=naive_utc(as_of),
            read_back=read_back,
            opt_outs=destination.opt_outs(),
            types=types,
        )
        plan = Plan(
            plan_id=f"{naive_utc(as_of):%Y%m%dT%H%M%SZ}-{fingerprint[:8]}",
            destination=destination.name,
            audience=audience,
            audience_id=audience_id,
            as_of=naive_utc(as_of),
            fingerprint=fingerprint,
            confirmed_before=_members_now(connection, destination, audience_id, receipts),
            read_back=read_back,
            **counts(connection),
        )
        plan.save(lake, connection)
    return plan


def apply(lake: Lake, plan: Plan, destination: Destination) -> SyncResult:
    """Carry out a plan: opt-outs read afresh, guards, then removals, updates and adds in batches with receipts.

    Raises `WorldMoved`, `GuardTripped` or `ApplyInProgress` before anything is sent, and a `VendorError` when the
    vendor fails on the way; what was sent until then is in the receipts, and the next run goes on from there.
    """
    started, before = time.monotonic(), destination.snapshot()
    audience = plan.audience
    with apply_lock(lake, destination.name, audience.name), lake.connect() as connection:
        receipts = Receipts(lake, destination.name, audience.name)
        if world_fingerprint(lake, audience, receipts) != plan.fingerprint:
            raise WorldMoved(
                f"{destination.name}/{audience.name}: the audience, the contact points, the consents or the receipts "
                "changed since the plan was made; plan again"
            )
        check_source(lake, audience, plan.as_of)
        check_changes(
            audience,
            wanted=plan.wanted,
            confirmed=plan.confirmed_before,
            added=plan.added,
            updated=plan.updated,
            removed=plan.removed - plan.removed_for_opt_out,
        )
        push = _Push(lake, plan, destination, receipts, connection)
        push.run()
    result = push.result
    spent = destination.snapshot().since(before)
    result.requests, result.throttled_seconds = spent.requests, round(spent.throttled_seconds, 3)
    result.seconds = round(time.monotonic() - started, 3)
    logger.info("%s/%s: %s", destination.name, audience.name, result)
    return result


class _Push:
    """One run of `apply`, after its checks."""

    def __init__(
        self,
        lake: Lake,
        plan: Plan,
        destination: Destination,
        receipts: Receipts,
        connection: duckdb.DuckDBPyConnection,
    ) -> None:
        self.plan, self.destination, self.receipts, self.connection = plan, destination, receipts, connection
        self.audience = plan.audience
        self.types = field_types(connection, lake, plan.audience, destination)
        self.lake = lake
        self.audience_id = plan.audience_id
        self.result = SyncResult(destination.name, plan.audience.name)
        self.is_changed = False

    def run(self) -> None:
        read_back = self.plan.read_back
        if read_back is None:
            read_back = _read_back(self.destination, self.audience_id)
        if not self.plan.is_empty:
            self._ensure_audience()
        self._compare(read_back)
        if self.audience_id is not None:
            for action in ("remove", "update", "add"):
                self._send_all(action)
        self._confirm(read_back)

    def _ensure_audience(self) -> None:
        ensured = self.destination.ensure_audience(self.audience, self.audience_id, self.types)
        if self.audience_id not in (None, ensured):
            raise WorldMoved(f"{self.destination.name}/{self.audience.name}: the vendor's audience is another one now")
        self.audience_id = ensured

    def _compare(self, read_back: pa.Table | None) -> None:
        """The difference once more with fresh opt-outs. Only what the plan holds is sent, and removals of opt-outs."""
        connection = self.connection
        self.receipts.register(connection, self.audience_id)
        compare(
            connection,
            self.lake,
            self.audience,
            self.destination,
            as_of=self.plan.as_of,
            read_back=read_back,
            opt_outs=self.destination.opt_outs(),
            types=self.types,
        )
        planned = self.lake.path(self.plan.dataset, f"{self.plan.plan_id}.parquet")
        connection.execute(
            """CREATE OR REPLACE TEMP TABLE agreed AS
            SELECT a.* FROM actions a SEMI JOIN read_parquet($planned) p
                ON p.member_key = a.member_key AND p.action = a.action
                AND p.payload_hash IS NOT DISTINCT FROM a.payload_hash
            WHERE a.action <> 'blocked'
            UNION
            SELECT * FROM actions WHERE action = 'remove' AND reason = 'vendor_opt_out'""",
            {"planned": planned},
        )
        now = counts(connection)
        self.result.wanted, self.result.blocked = now["wanted"], now["blocked"]
        self.result.unknown += now["blocked"].get("outcome_unknown", 0)

    def _send_all(self, action: str) -> None:
        rows: pa.Table = self.connection.sql(
            """SELECT a.customer_id, a.member_key, a.payload_hash, a.reason, a.is_ours, a.address,
                c.identifiers, c.fields, c.consent_reason, c.evidence, c.decided_at
            FROM agreed a LEFT JOIN candidates c
                ON c.customer_id = a.customer_id AND c.member_key = a.member_key AND c.reason IS NULL
            WHERE a.action = $action ORDER BY a.member_key""",
            params={"action": action},
        ).to_arrow_table()
        size = self.destination.removal_batch_size if action == "remove" else self.destination.batch_size
        send: dict[str, Callable[..., list[Outcome]]] = {
            "add": self.destination.add,
            "update": self.destination.update,
            "remove": self.destination.remove,
        }
        for start in range(0, rows.num_rows, size):
            batch = rows.slice(start, size).to_pylist()
            people = [self._departure(row) if action == "remove" else self._member(row) for row in batch]
            self._send_batch(action, batch, people, send[action])

    def _send_batch(
        self, action: str, rows: list[dict[str, Any]], people: Sequence[Any], send: Callable[..., list[Outcome]]
    ) -> None:
        assert self.audience_id is not None
        audience_id = self.audience_id
        self.is_changed = True
        self._write(action, rows, dict.fromkeys([row["member_key"] for row in rows], ("sent", "")))
        try:
            outcomes = list(_isolated(people, lambda part: send(audience_id, part)))
        except VendorError as error:
            # Credentials refused, a limit or a plain refusal: the vendor took nothing. Anything else: nobody knows.
            is_untouched = isinstance(error, AuthError | Throttled | RequestRefused)
            state = "failed" if is_untouched else "unknown"
            self._write(action, rows, dict.fromkeys([row["member_key"] for row in rows], (state, type(error).__name__)))
            raise
        told = {outcome.key: (outcome.state, outcome.reason) for outcome in outcomes}
        states = {row["member_key"]: told.get(row["member_key"], ("unknown", "no_outcome")) for row in rows}
        self._write(action, rows, states)
        accepted = sum(state == "accepted" for state, _ in states.values())
        rejected = sum(state == "rejected" for state, _ in states.values())
        name = {"add": "added", "update": "updated", "remove": "removed"}[action]
        setattr(self.result, name, getattr(self.result, name) + accepted)
        self.result.rejected += rejected
        self.result.unknown += len(states) - accepted - rejected
        if action == "add" and rejected:
            self.result.blocked["rejected"] = self.result.blocked.get("rejected", 0) + rejected

    def _write(self, action: str, rows: list[dict[str, Any]], states: dict[str, tuple[str, str]]) -> None:
        assert self.audience_id is not None
        self.receipts.write(
            self.audience_id,
            self.plan.as_of,
            [
                Receipt(
                    customer_id=row["customer_id"],
                    member_key=row["member_key"],
                    action=action,
                    payload_hash=row["payload_hash"],
                    state=states[row["member_key"]][0],
                    reason=states[row["member_key"]][1] or row["reason"] or "",
                    is_ours=row["is_ours"],
                )
                for row in rows
            ],
        )

    def _member(self, row: dict[str, Any]) -> Member:
        return Member(
            customer_id=row["customer_id"],
            key=row["member_key"],
            identifiers={name: text for name, text in json.loads(row["identifiers"]).items() if text},
            fields=json.loads(row["fields"]),
            channel=self.destination.channel,
            purpose=self.audience.purpose,
            consent=ConsentDecision(
                channel=self.destination.channel,
                purpose=self.audience.purpose,
                granted=True,
                reason=row["consent_reason"] or "",
                evidence=row["evidence"],
                decided_at=row["decided_at"],
            ),
        )

    def _departure(self, row: dict[str, Any]) -> Departure:
        return Departure(customer_id=row["customer_id"], key=row["member_key"], address=row["address"])

    def _confirm(self, read_back: pa.Table | None) -> None:
        """Ask the vendor who, or how many, are in, and settle the receipts with the answer."""
        if self.audience_id is None:
            return
        if self.destination.lists_members:
            visible = self._listed(read_back)
            self.result.confirmed = self._allowed_in(visible)
            self.receipts.settle(self.connection, self.audience_id, visible, is_count_confirmed=False)
            return
        self.receipts.register(self.connection, self.audience_id)
        expected, confirmed_before = self.connection.execute(
            """SELECT count(*) FILTER (WHERE in_audience), count(*) FILTER (WHERE in_audience AND state = 'confirmed')
            FROM receipts"""
        ).fetchall()[0]
        count = self.destination.count(self.audience_id)
        self.result.confirmed = min(max(expected, count.lower), count.upper) if count.is_settled else confirmed_before
        is_confirmed = count.is_settled and count.lower <= expected <= count.upper
        self.receipts.settle(self.connection, self.audience_id, None, is_count_confirmed=is_confirmed)

    def _listed(self, read_back: pa.Table | None) -> pa.Table:
        """The vendor's list after our changes; looked at again for a while when it lags behind."""
        assert self.audience_id is not None
        if not self.is_changed and read_back is not None:
            return read_back
        visible = self.destination.read_back(self.audience_id)
        for wait in READ_BACK_WAITS:
            if self._allowed_in(visible) >= self.result.wanted - sum(self.result.blocked.values()):
                break
            time.sleep(wait)
            visible = self.destination.read_back(self.audience_id)
        return visible

    def _allowed_in(self, visible: pa.Table) -> int:
        self.connection.register("visible_now", visible)
        found = self.connection.execute(
            "SELECT count(*) FROM candidates WHERE reason IS NULL AND member_key IN (SELECT key FROM visible_now)"
        ).fetchall()
        return int(found[0][0])


def _isolated(people: Sequence[Any], send: Callable[[Sequence[Any]], list[Outcome]]) -> Iterator[Outcome]:
    """Send a batch; one that is refused as a whole is sent in halves until the bad row stands alone."""
    try:
        yield from send(people)
    except BatchRefused as refused:
        if len(people) == 1:
            yield Outcome(people[0].key, "rejected", refused.reason)
            return
        middle = len(people) // 2
        yield from _isolated(people[:middle], send)
        yield from _isolated(people[middle:], send)


def _read_back(destination: Destination, audience_id: str | None) -> pa.Table | None:
    if not destination.lists_members:
        return None
    return MEMBERSHIP.empty_table() if audience_id is None else destination.read_back(audience_id)


def _members_now(
    connection: duckdb.DuckDBPyConnection, destination: Destination, audience_id: str | None, receipts: Receipts
) -> int | None:
    """How many are in the audience; None when the vendor has some of whom no receipt tells."""
    members = int(connection.execute("SELECT count(*) FROM members").fetchall()[0][0])
    if audience_id is None or destination.lists_members or receipts.audience_id == audience_id:
        return members
    count = destination.count(audience_id)
    return 0 if count.is_settled and count.upper == 0 else None
