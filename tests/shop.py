"""A tiny shop for sync tests: people with contact points and consents in a lake, and a sandbox that knows them not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.lake import Lake

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
        for kind, identifier in (("email", person.email), ("phone", person.phone)):
            if identifier:
                contacts.append(
                    (person.customer_id, "email" if kind == "email" else "sms", kind, identifier, True, person.country)
                )
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
