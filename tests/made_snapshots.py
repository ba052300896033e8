"""Makes snapshot with a known truth, for tests of `ml`: customers with habits of their own, some of whom leave."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

NEWEST = datetime(2026, 10, 18, 15)
STEP_DAYS = 30
CATEGORIES = ("bread", "cheese", "milk")


def make_snapshots(
    directory: Path, customers: int = 250, windows: int = 9, seed: int = 7, newest: datetime = NEWEST
) -> dict[str, str]:
    """Both snapshot tables in a folder, by mart name.

    A customer buys every 3 to 120 days and may leave for good on a day unknown to the features. Someone silent for
    three weeks has left if she used to come daily and is on time if she comes monthly: silence alone cannot tell,
    silence beside the habit can.
    """
    generator = np.random.default_rng(seed)
    days = windows * STEP_DAYS + 120
    as_ofs = [newest - timedelta(days=STEP_DAYS * step) for step in reversed(range(windows))]
    start = newest - timedelta(days=days)
    rows, category_rows = [], []
    for number in range(customers):
        gap = float(np.exp(generator.uniform(np.log(3), np.log(120))))
        leaves = generator.uniform(60, days * 4)
        orders = np.cumsum(generator.gamma(12.0, gap / 12.0, size=int(days / gap * 2) + 5))
        orders = orders[orders < min(days, leaves)]
        tastes = generator.uniform(0.05, 0.9, size=len(CATEGORIES))
        baskets = generator.random((len(orders), len(CATEGORIES))) < tastes
        for as_of in as_ofs:
            now = (as_of - start) / timedelta(days=1)
            before = orders[orders < now]
            if not len(before):
                continue
            key = {"customer_id": f"c{number:05d}", "as_of": as_of}
            habits = {
                "days_since_last_order": now - before[-1],
                "order_count": len(before),
                "orders_30d": int((before >= now - 30).sum()),
                "orders_90d": int((before >= now - 90).sum()),
                "mean_gap_days": float(np.diff(before).mean()) if len(before) > 1 else None,
                "recency_to_gap": (now - before[-1]) / float(np.diff(before).mean()) if len(before) > 1 else None,
                "spend": round(float(len(before) * 12.5), 2),
                "is_member": number % 3 == 0,
                "prefecture": ("Tokyo", "Osaka", None)[number % 3],
            }
            closed_60, closed_30 = now + 60 <= days, now + 30 <= days
            rows.append(
                key
                | habits
                | {
                    "outcome_churned": not ((orders >= now) & (orders < now + 60)).any() if closed_60 else None,
                    "outcome_ordered": bool(((orders >= now) & (orders < now + 30)).any()) if closed_30 else None,
                }
            )
            for index, category in enumerate(CATEGORIES):
                bought = orders[baskets[:, index]]
                bought_before = bought[bought < now]
                category_rows.append(
                    key
                    | {
                        "category": category,
                        "days_since_category_order": now - bought_before[-1] if len(bought_before) else None,
                        "category_order_rate": len(bought_before) / len(before),
                        "orders_30d": habits["orders_30d"],
                        "mean_gap_days": habits["mean_gap_days"],
                        "outcome_ordered": bool(((bought >= now) & (bought < now + 30)).any()) if closed_30 else None,
                    }
                )
    directory.mkdir(parents=True, exist_ok=True)
    return {
        "customer_snapshots": write(pd.DataFrame(rows), directory / "customer_snapshots.parquet"),
        "customer_category_snapshots": write(
            pd.DataFrame(category_rows), directory / "customer_category_snapshots.parquet"
        ),
    }


def read(path: str) -> pd.DataFrame:
    """A snapshot table for a test to change."""
    return pq.read_table(path).to_pandas()


def write(frame: pd.DataFrame, path: Path | str) -> str:
    """A snapshot table as dbt writes it: UTC times without zone, outcomes boolean and null while open."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for name in table.schema.names:
        kind = pa.timestamp("us") if name == "as_of" else pa.bool_() if name.startswith("outcome_") else None
        if kind:
            index = table.schema.get_field_index(name)
            table = table.set_column(index, name, table.column(name).cast(kind))
    pq.write_table(table, path)
    return str(path)
