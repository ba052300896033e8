"""A tiny shop for sync tests: people with contact points and consents in a lake, and a sandbox that knows them not."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.lake import Lake
from connectors.sandbox import google_key, state
from connectors.sandbox.server import Sandbox
from tests.empty_world import EmptyWorld

AS_OF = datetime(2026, 10, 18, 15, tzinfo=UTC)


@dataclass
class Person:
    """One customer of the tiny shop; `email_consent` and `ad_consent` are granted, denied or None (never asked)."""

    customer_id: str
    email: str | None = None
    phone: str | None = None
    email_consent: str | None = "granted"
    ad_consent: str | None = "granted"
    country: str = "JP"


def people(count: int, start: int = 0) -> list[Person]:
    """`count` people who said yes to everything."""
    numbers = range(start, start + count)
    return [Person(f"c{n:05d}", f"person{n}@shop.example", f"+8190{n:08d}") for n in numbers]


def write_people(lake: Lake, persons: Iterable[Person]) -> None:
    """Replace the marts `contact_points` and `consents`."""
    contacts, consents = [], []
    for person in persons:
        reach = [("email", "email"), ("sms", "phone"), ("ad", "email"), ("ad", "phone")]
        for channel, kind in reach:
            if identifier := getattr(person, kind):
                contacts.append((person.customer_id, channel, kind, identifier, True, person.country))
        for channel, decision in (("email", person.email_consent), ("ad", person.ad_consent)):
            if decision:
                evidence = f"shopify.customers {person.customer_id} SUBSCRIBED"
                consents.append(
                    (
                        person.customer_id,
                        channel,
                        "marketing",
                        decision,
                        "said_so",
                        evidence,
                        AS_OF.replace(tzinfo=None),
                    )
                )
    _write(
        lake,
        "marts/contact_points",
        contacts,
        {
            "customer_id": pa.string(),
            "channel": pa.string(),
            "identifier_type": pa.string(),
            "identifier": pa.string(),
            "is_primary": pa.bool_(),
            "country": pa.string(),
        },
    )
    _write(
        lake,
        "marts/consents",
        consents,
        {
            "customer_id": pa.string(),
            "channel": pa.string(),
            "purpose": pa.string(),
            "decision": pa.string(),
            "reason": pa.string(),
            "evidence": pa.string(),
            "decided_at": pa.timestamp("us"),
        },
    )


def write_audience(lake: Lake, name: str, scores: dict[str, float | None]) -> None:
    """Replace an audience's mart: customer → churn probability."""
    columns = {"customer_id": pa.string(), "churn_probability": pa.float64()}
    _write(lake, f"marts/{name}", list(scores.items()), columns)


def _write(lake: Lake, dataset: str, rows: list[tuple[Any, ...]], columns: dict[str, pa.DataType]) -> None:
    table = pa.Table.from_pylist(
        [dict(zip(columns, row, strict=True)) for row in rows], schema=pa.schema(list(columns.items()))
    )
    with lake.commit(dataset, "data") as path:
        pq.write_table(table, path)


@functools.cache
def _prepared() -> tuple[tempfile.TemporaryDirectory[str], EmptyWorld]:
    """A state folder nobody runs on, made once a process; it goes when the process goes."""
    folder = tempfile.TemporaryDirectory(prefix="kizuna-empty-world-")
    world = EmptyWorld(Path(folder.name))
    state.prepare(world, Path(folder.name) / "state")
    google_key.private_key(Path(folder.name) / "state")
    return folder, world


@contextmanager
def empty_sandbox(directory: Path) -> Iterator[Sandbox]:
    """A running sandbox whose vendors hold nobody."""
    folder, world = _prepared()
    state.copy_prepared(Path(folder.name) / "state", directory / "sandbox")
    with Sandbox(world, directory / "sandbox") as sandbox:
        yield sandbox


def empty(sandbox: Sandbox) -> Sandbox:
    """The same sandbox with nobody on the list, no audiences, no faults and no memory of requests."""
    tables = ("members", "forgotten", "segments", "segment_members", "batches")
    for table in (*(f"mailchimp_{t}" for t in tables), "meta_audiences", "meta_users", "meta_sessions"):
        sandbox.execute(f"delete from {table}")
    sandbox.execute("delete from mailchimp_merge_fields where merge_id > 5")
    sandbox.faults.clear()
    sandbox.requests.clear()
    return sandbox


def put_on_list(sandbox: Sandbox, address: str, status: str, self_unsubscribed: bool = False) -> None:
    """Put somebody on the Mailchimp list in a status, as if it had happened there; the change is visible as one."""
    sandbox.execute("delete from mailchimp_members where lower(email) = lower(?)", [address])
    sandbox.execute(
        "insert into mailchimp_members values (?, ?, '', '{}', null, '2026-01-01', '2026-01-01', ?, ?)",
        [address, status, sandbox.state.tick(), self_unsubscribed],
    )


def statuses(sandbox: Sandbox) -> dict[str, str]:
    """Address → status of everybody on the Mailchimp list."""
    return dict(sandbox.execute("select lower(email), status from mailchimp_members"))
