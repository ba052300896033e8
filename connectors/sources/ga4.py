"""GA4's BigQuery export: events with their parameters and items, one table a day.

Odd: late events change a day's table for three days; the intraday table is a stand-in until the day's own exists; in
BigQuery a limit is a 403.
"""

import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import requests
from pydantic import Field, SecretStr

from connectors.google_account import bearer
from connectors.http import MalformedAnswer, Session, budget_of
from connectors.settings import VendorConfig, vendor_settings
from connectors.stream import Bookmark, Page, Source, Stream, columns

SCOPE = "https://www.googleapis.com/auth/bigquery.readonly"
LATE_DAYS = timedelta(days=3)
TABLES_AT_ONCE = 1000
ROWS_AT_ONCE = 10_000
QUERY_MILLISECONDS = 30_000
PREFIX = "events_"
INTRADAY = "intraday_"
READ_ATTEMPTS = 2
DAYS_AT_ONCE = 31

STREAMS = (
    Stream(
        "events",
        columns(
            {"_table": "VARCHAR", "event_date": "VARCHAR", "event_timestamp": "BIGINT", "event_name": "VARCHAR"}
            | {
                "event_params": "STRUCT(key VARCHAR, value STRUCT(string_value VARCHAR, int_value BIGINT, "
                "float_value DOUBLE, double_value DOUBLE))[]",
                "user_id": "VARCHAR",
                "user_pseudo_id": "VARCHAR",
                "user_first_touch_timestamp": "BIGINT",
                "privacy_info": "STRUCT(analytics_storage VARCHAR, ads_storage VARCHAR, uses_transient_token VARCHAR)",
                "device": "STRUCT(category VARCHAR, mobile_brand_name VARCHAR, operating_system VARCHAR, "
                "language VARCHAR, web_info STRUCT(browser VARCHAR, hostname VARCHAR))",
                "geo": "STRUCT(country VARCHAR, region VARCHAR, city VARCHAR)",
                "traffic_source": "STRUCT(name VARCHAR, medium VARCHAR, source VARCHAR)",
                "collected_traffic_source": "STRUCT(manual_campaign_name VARCHAR, manual_source VARCHAR, "
                "manual_medium VARCHAR, gclid VARCHAR)",
                "stream_id": "VARCHAR",
                "platform": "VARCHAR",
                "ecommerce": "STRUCT(transaction_id VARCHAR, purchase_revenue DOUBLE, tax_value DOUBLE, "
                "shipping_value DOUBLE, total_item_quantity BIGINT, unique_items BIGINT)",
                "items": "STRUCT(item_id VARCHAR, item_name VARCHAR, item_brand VARCHAR, item_variant VARCHAR, "
                "item_category VARCHAR, item_category2 VARCHAR, price DOUBLE, quantity BIGINT, item_revenue DOUBLE, "
                "coupon VARCHAR)[]",
                "batch_page_id": "BIGINT",
                "batch_ordering_id": "BIGINT",
                "batch_event_index": "BIGINT",
            },
            required=("event_date", "event_timestamp", "event_name"),
            personal=("user_id", "user_pseudo_id", "event_params", "geo"),
        ),
        key=(),
        partition_by="_table",
        sweep_every=None,
        provisional=INTRADAY,
    ),
)


class Ga4Config(VendorConfig):
    """A service account that may read the property's export."""

    model_config = vendor_settings("GA4_")

    project: str = Field(description="Google Cloud project that holds GA4's BigQuery export")
    property_id: str = Field(description="GA4 property id, the number in the data set's name analytics_<id>")
    credentials_json: SecretStr = Field(description="Service account's JSON key: the text itself or the path of a file")
    base_url: str = Field(default="https://bigquery.googleapis.com", description="Address of BigQuery's API")


class Ga4:
    """One property's export, opened."""

    def __init__(self, config: Ga4Config) -> None:
        self._dataset = f"analytics_{config.property_id}"
        self._project = config.project
        self._root = f"{config.base_url.rstrip('/')}/bigquery/v2/projects/{config.project}"
        self.session = Session(
            "bigquery",
            bearer(config.credentials_json, "GA4_CREDENTIALS_JSON", SCOPE),
            budget=budget_of(f"bigquery {self._root}"),
            throttled=throttled,
            read_seconds=120.0,
        )

    def read(self, stream: Stream, bookmark: Bookmark) -> Iterator[Page]:
        tables = self._tables()
        newest = max((name.removeprefix(INTRADAY) for name in tables), default="")
        late = f"{datetime.strptime(newest, '%Y%m%d') - LATE_DAYS:%Y%m%d}" if newest else ""
        closed: list[str] = []
        for name in sorted(tables):
            landed, day = bookmark.partitions.get(name), name.removeprefix(INTRADAY)
            if day < late:
                # A closed day does not change any more; a stand-in that old was never replaced and is all there is.
                if landed is None and (name == day or day not in tables):
                    closed.append(name)
            elif name == day or day not in tables:
                version = self._version(name)
                if landed != version:
                    yield from self._tables_of({name: version})
        for at in range(0, len(closed), DAYS_AT_ONCE):
            yield from self._tables_of(dict.fromkeys(closed[at : at + DAYS_AT_ONCE], ""))

    def keys(self, stream: Stream) -> Iterator[Page]:
        return iter(())

    def fetch(self, stream: Stream, keys: Sequence[str]) -> Iterator[Page]:
        return iter(())

    def _tables(self) -> set[str]:
        """Days and intraday days that have a table: "20261018", "intraday_20261019"."""
        names: set[str] = set()
        given: dict[str, Any] = {"maxResults": TABLES_AT_ONCE}
        while True:
            answer = self.session.json(
                "GET",
                f"{self._root}/datasets/{self._dataset}/tables",
                params=given,
                check=partial(_list_problem, given.get("pageToken")),
            )
            ids = [table["tableReference"]["tableId"] for table in answer.get("tables", [])]
            names |= {i.removeprefix(PREFIX) for i in ids if i.startswith(PREFIX)}
            if not answer.get("nextPageToken"):
                return {name for name in names if name.removeprefix(INTRADAY).isdigit()}
            given["pageToken"] = answer["nextPageToken"]

    def _version(self, name: str) -> str:
        table = self.session.json("GET", f"{self._root}/datasets/{self._dataset}/tables/{PREFIX}{name}")
        return f"{table.get('lastModifiedTime', '')}/{table.get('numRows', '')}"

    def _tables_of(self, versions: dict[str, str]) -> Iterator[Page]:
        """Whole tables or nothing, by way of a file: a partition replaces the one before, and days can be gigabytes."""
        with tempfile.TemporaryDirectory(prefix="kizuna-events-") as folder:
            path = Path(folder) / "events.jsonl"
            for attempt in range(READ_ATTEMPTS):
                found, expected = self._save(list(versions), path)
                if found == expected:
                    break
                if attempt + 1 == READ_ATTEMPTS:
                    raise MalformedAnswer(f"bigquery {PREFIX}{min(versions)}: {found} rows came of {expected}")
            yield Page(path, is_lines=True, partitions=versions)

    def _save(self, names: list[str], path: Path) -> tuple[int, int]:
        """Write the tables' rows as JSON lines; (rows written, rows there are)."""
        suffixes = ", ".join(f"'{name}'" for name in names)
        query = (
            # Most fields of most events are null; without them the answer is half as long.
            f"SELECT _TABLE_SUFFIX AS suffix, TO_JSON_STRING(JSON_STRIP_NULLS(TO_JSON(t))) AS event "
            f"FROM `{self._project}.{self._dataset}.{PREFIX}*` AS t WHERE _TABLE_SUFFIX IN ({suffixes})"
        )
        found, expected = 0, 0
        with path.open("wb") as file:
            for rows, total in self._answers(query):
                # The table's name goes into the row, so that landing can type many days at once.
                lines = [f'{{"_table":"{row["f"][0]["v"]}",{row["f"][1]["v"][1:]}\n' for row in rows]
                file.write("".join(lines).encode())
                found, expected = found + len(rows), total
        return found, expected

    def _answers(self, query: str) -> Iterator[tuple[list[Any], int]]:
        """(rows of a page, rows in all) for every page of a query's result."""
        body = {"query": query, "useLegacySql": False, "maxResults": ROWS_AT_ONCE, "timeoutMs": QUERY_MILLISECONDS}
        answer = self.session.json(
            "POST", f"{self._root}/queries", json_body=body, check=partial(_result_problem, None)
        )
        job = answer["jobReference"]
        given: dict[str, Any] = {"maxResults": ROWS_AT_ONCE, "timeoutMs": QUERY_MILLISECONDS}
        if job.get("location"):
            given["location"] = job["location"]
        while True:
            if answer["jobComplete"]:
                yield answer.get("rows", []), int(answer["totalRows"])
                if not answer.get("pageToken"):
                    return
                given["pageToken"] = answer["pageToken"]
            answer = self.session.json(
                "GET",
                f"{self._root}/queries/{job['jobId']}",
                params=given,
                check=partial(_result_problem, given.get("pageToken")),
            )


def _list_problem(token: str | None, answer: Any) -> str | None:
    following = answer.get("nextPageToken")
    return "the page token stands still" if following is not None and following == token else None


def _result_problem(token: str | None, answer: Any) -> str | None:
    """A page of a result that cannot be true."""
    if answer["jobComplete"] and answer.get("pageToken") and not answer.get("rows"):
        return "an empty page in the middle"
    if answer["jobComplete"]:
        int(answer["totalRows"])
    following = answer.get("pageToken")
    return "the page token stands still" if following is not None and following == token else None


def throttled(response: requests.Response) -> float | None:
    """BigQuery says rateLimitExceeded or quotaExceeded with a 403."""
    if response.status_code in (403, 429) and (
        b"ateLimitExceeded" in response.content or b"quotaExceeded" in response.content
    ):
        return -1.0
    return None


SOURCE = Source("ga4", Ga4Config, STREAMS, Ga4)
