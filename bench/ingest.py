"""Lands 200,000 nested orders (lines, taxes, refunds) with Kizuna and with dlt in turn, and compares rate and content.

Both get the same bytes: pages as Shopify's GraphQL answers them, made before the clock starts. Both must end in Parquet
files on disk, typed, of which the test then checks that they hold the same rows. The last line is one JSON object.

How dlt is set up, and why: see `dlt_run`.
"""

import argparse
import json
import logging
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import duckdb
import orjson

# Run as a script from any folder: `python bench/ingest.py`.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from connectors.lake import Lake
from connectors.landing import Landing, declare
from connectors.stream import Page, Stream, columns

SEED = 20261018
PAGE_ROWS = 250
PAGE_PATH = ("data", "orders", "nodes")
START = datetime(2025, 10, 19)

MONEY = "STRUCT(shopMoney STRUCT(amount DECIMAL(18,4), currencyCode VARCHAR))"
TAXES = f"STRUCT(title VARCHAR, rate DOUBLE, priceSet {MONEY})[]"
LINES = (
    "STRUCT(id VARCHAR, sku VARCHAR, title VARCHAR, quantity BIGINT, currentQuantity BIGINT, "
    f"product STRUCT(id VARCHAR), originalUnitPriceSet {MONEY}, discountedUnitPriceSet {MONEY}, taxLines {TAXES})[]"
)
REFUNDS = f"STRUCT(id VARCHAR, createdAt TIMESTAMP, totalRefundedSet {MONEY})[]"
ORDERS = Stream(
    "orders",
    columns(
        dict.fromkeys(("id", "name"), "VARCHAR")
        | dict.fromkeys(("createdAt", "updatedAt", "processedAt", "cancelledAt"), "TIMESTAMP")
        | {"test": "BOOLEAN", "email": "VARCHAR", "displayFinancialStatus": "VARCHAR", "currencyCode": "VARCHAR"}
        | {"customerAcceptsMarketing": "BOOLEAN", "discountCodes": "VARCHAR[]", "customer": "STRUCT(id VARCHAR)"}
        | dict.fromkeys(("totalPriceSet", "subtotalPriceSet", "totalTaxSet", "totalRefundedSet"), MONEY)
        | {"lineItems": LINES, "taxLines": TAXES, "refunds": REFUNDS},
        required=("id", "updatedAt"),
        personal=("email",),
    ),
    cursor="updatedAt",
)


def make_pages(rows: int) -> list[bytes]:
    """The pages, the same bytes every time."""
    chance = random.Random(SEED)
    pages = []
    for first in range(0, rows, PAGE_ROWS):
        orders = [make_order(number, chance) for number in range(first, min(first + PAGE_ROWS, rows))]
        connection = {"nodes": orders, "pageInfo": {"hasNextPage": first + PAGE_ROWS < rows, "endCursor": str(first)}}
        pages.append(json.dumps({"data": {"orders": connection}}, separators=(",", ":")).encode())
    return pages


def make_order(number: int, chance: random.Random) -> dict[str, Any]:
    lines = [make_line(number, place, chance) for place in range(chance.choice((1, 1, 2, 2, 3, 4, 6, 9)))]
    subtotal = sum(cents_of(line["discountedUnitPriceSet"]) * line["quantity"] for line in lines)
    created = START + timedelta(seconds=number * 150)
    updated = created + timedelta(seconds=chance.randrange(1, 400_000))
    refunded = subtotal // 4 if number % 20 == 0 else 0
    return {
        "id": f"gid://shopify/Order/{number}",
        "name": f"#{number}",
        "createdAt": f"{created:%Y-%m-%dT%H:%M:%SZ}",
        "updatedAt": f"{updated:%Y-%m-%dT%H:%M:%SZ}",
        "processedAt": f"{created:%Y-%m-%dT%H:%M:%SZ}",
        "cancelledAt": f"{updated:%Y-%m-%dT%H:%M:%SZ}" if number % 50 == 0 else None,
        "test": False,
        "email": f"person{number % 40_000}@example.com" if number % 9 else None,
        "displayFinancialStatus": "PARTIALLY_REFUNDED" if refunded else "PAID",
        "currencyCode": "USD",
        "customerAcceptsMarketing": number % 3 == 0,
        "discountCodes": ["AUTUMN"] if number % 7 == 0 else [],
        "customer": {"id": f"gid://shopify/Customer/{number % 40_000}"} if number % 9 else None,
        "totalPriceSet": money(subtotal + subtotal // 10),
        "subtotalPriceSet": money(subtotal),
        "totalTaxSet": money(subtotal // 10),
        "totalRefundedSet": money(refunded),
        "lineItems": lines,
        "taxLines": [tax(subtotal)],
        "refunds": [
            {
                "id": f"gid://shopify/Refund/{number}",
                "createdAt": f"{updated:%Y-%m-%dT%H:%M:%SZ}",
                "totalRefundedSet": money(refunded),
            }
        ]
        if refunded
        else [],
    }


def make_line(number: int, place: int, chance: random.Random) -> dict[str, Any]:
    product, price, quantity = chance.randrange(20_000), chance.randrange(99, 4999), chance.choice((1, 1, 1, 2, 3))
    return {
        "id": f"gid://shopify/LineItem/{number}{place:02d}",
        "sku": f"{product:07d}",
        "title": f"Product {product}",
        "quantity": quantity,
        "currentQuantity": quantity,
        "product": {"id": f"gid://shopify/Product/{product}"},
        "originalUnitPriceSet": money(price),
        "discountedUnitPriceSet": money(price - price // 10),
        "taxLines": [tax(price * quantity)],
    }


def tax(cents: int) -> dict[str, Any]:
    return {"title": "Sales tax", "rate": 0.1, "priceSet": money(cents // 10)}


def money(cents: int) -> dict[str, Any]:
    return {"shopMoney": {"amount": f"{cents // 100}.{cents % 100:02d}", "currencyCode": "USD"}}


def cents_of(price: dict[str, Any]) -> int:
    return int(price["shopMoney"]["amount"].replace(".", ""))


def kizuna_run(pages: list[bytes], folder: Path) -> str:
    """Land the pages as every source does; returns the pattern of the Parquet files."""
    lake = Lake(folder / "lake")
    declare("bench", [ORDERS], lake)
    with Landing("bench", ORDERS, lake) as landing:
        for page in pages:
            landing.add(Page(page, path=PAGE_PATH))
        landing.land()
    return lake.glob("raw/bench/orders")


def dlt_run(pages: list[bytes], folder: Path) -> str:
    """Load the pages with dlt's best configuration; returns the pattern of the Parquet files.

    - Parquet by Arrow straight into the filesystem destination (no database load at the end to pay for).
    - `max_table_nesting=0`: nested objects and lists stay in one table as JSON columns. Our raw tables keep them nested
      as well, so this is the equal table, and it is dlt's faster way: one child table each for lines, taxes and refunds
      took it 12 to 45 % longer.
    - Whole pages are yielded, not rows; orjson parses them (dlt brings it); two normalise workers on two cores; files
      of 10,000 rows so that both workers have work; buffers large enough for them; no compression of the intermediate
      files; no telemetry.
    - Column hints for times, so that it lands them as times without guessing.
    - Not compared: giving dlt Arrow tables. It then only copies them, and the work measured here (typing, undeclared
      fields, hashes, what landed before) would have to be written by hand in front of it.
    """

    @dlt.resource(
        name="orders",
        write_disposition="append",
        max_table_nesting=0,
        file_format="parquet",
        columns={
            name: {"name": name, "data_type": "timestamp"}
            for name in ("createdAt", "updatedAt", "processedAt", "cancelledAt")
        },
    )
    def orders() -> Iterator[Any]:
        for page in pages:
            yield orjson.loads(page)["data"]["orders"]["nodes"]

    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.filesystem(str(folder / "dlt")),
        dataset_name="raw",
    )
    pipeline.run(orders())
    return str(folder / "dlt/raw/orders/*.parquet")


DLT_SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "NORMALIZE__WORKERS": "2",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "EXTRACT__DATA_WRITER__FILE_MAX_ITEMS": "10000",
    "EXTRACT__DATA_WRITER__BUFFER_MAX_ITEMS": "10000",
    "EXTRACT__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "NORMALIZE__DATA_WRITER__BUFFER_MAX_ITEMS": "10000",
    "SCHEMA__NAMING": "direct",
}


def compare(connection: duckdb.DuckDBPyConnection, ours: str, theirs: str) -> None:
    """Raise unless both hold the same orders, every field of every nested row included."""
    names = list(ORDERS.types)
    found = {row[0] for row in connection.execute(f"DESCRIBE FROM read_parquet('{theirs}')").fetchall()}
    values = []
    for name, kind in ORDERS.types.items():
        column = next(c for c in found if c.replace("_", "").lower() == name.lower())
        is_nested = "STRUCT" in kind or "[]" in kind
        values.append(f"CAST({_column(column, kind, is_nested)} AS {kind})")
    listed = ", ".join(f'"{name}"' for name in names)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW ours AS SELECT {listed} FROM read_parquet('{ours}')")
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW theirs AS SELECT {', '.join(values)} FROM read_parquet('{theirs}')"
    )
    for left, right in (("ours", "theirs"), ("theirs", "ours")):
        [(count,)] = connection.execute(
            f"SELECT count(*) FROM (SELECT * FROM {left} EXCEPT ALL SELECT * FROM {right})"
        ).fetchall()
        if count:
            raise SystemExit(f"tables differ: {count} rows of {left} are not among {right}")


def _column(name: str, kind: str, is_nested: bool) -> str:
    """SQL that reads dlt's column as the declared type: nested ones are JSON text, times carry a zone."""
    if is_nested:
        structure = json.dumps(_structure(duckdb.sqltype(kind)))
        return f"from_json(\"{name}\"::VARCHAR, '{structure}')"
    return f'"{name}"'


def _structure(kind: Any) -> Any:
    if kind.id == "struct":
        return {name: _structure(child) for name, child in kind.children}
    if kind.id == "list":
        return [_structure(kind.children[0][1])]
    return str(kind)


def timed(run: Callable[[list[bytes], Path], str], pages: list[bytes]) -> tuple[float, str, Path]:
    folder = Path(tempfile.mkdtemp(prefix="kizuna-bench-"))
    started = time.perf_counter()
    pattern = run(pages, folder)
    return time.perf_counter() - started, pattern, folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.environ.update(DLT_SETTINGS)
    logging.disable(logging.WARNING)
    print(f"making {given.rows:,} orders ...", flush=True)
    pages = make_pages(given.rows)
    print(f"{len(pages):,} pages, {sum(map(len, pages)) / 2**20:,.0f} MiB", flush=True)
    rates: dict[str, list[float]] = {"kizuna": [], "dlt": []}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET memory_limit = '2GB'")
        for number in range(1, given.rounds + 1):
            # Alternating, so that whatever else the machine does meets both.
            ours, our_files, our_folder = timed(kizuna_run, pages)
            theirs, their_files, their_folder = timed(dlt_run, pages)
            rates["kizuna"].append(given.rows / ours)
            rates["dlt"].append(given.rows / theirs)
            print(
                f"round {number} of {given.rounds}: kizuna {ours:.1f} s ({given.rows / ours:,.0f} rows/s), "
                f"dlt {theirs:.1f} s ({given.rows / theirs:,.0f} rows/s)",
                flush=True,
            )
            compare(connection, our_files, their_files)
            print("the tables are equal", flush=True)
            for folder in (our_folder, their_folder):
                shutil.rmtree(folder)
    best = {name: statistics.median(found) for name, found in rates.items()}
    print(
        json.dumps(
            {
                "rows": given.rows,
                "rounds": given.rounds,
                "kizuna_rows_per_second": round(best["kizuna"]),
                "dlt_rows_per_second": round(best["dlt"]),
                "ratio": round(best["kizuna"] / best["dlt"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
