"""GA4's BigQuery export: events with their parameters and items, one table a day.

Odd: late events change a day's table for three days; the intraday table is a stand-in until the day's own exists; in
BigQuery a limit is a 403.
"""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import google.auth.crypt
import google.auth.jwt
import requests
from pydantic import Field, SecretStr

from connectors.http import MalformedAnswer, RenewedToken, Session, budget_of
from connectors.settings import SettingsError, VendorConfig, vendor_settings
from connectors.stream import Bookmark, Page, Source, Stream, columns

SCOPE = "https://www.googleapis.com/auth/bigquery.readonly"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LATE_DAYS = timedelta(days=3)
TABLES_AT_ONCE = 1000
ROWS_AT_ONCE = 10_000
QUERY_MILLISECONDS = 30_000
PREFIX = "events_"
INTRADAY = "intraday_"
READ_ATTEMPTS = 2

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

    def account(self) -> dict[str, Any]:
        """The service account's key; SettingsError when it is neither JSON nor a file of it."""
        text = self.credentials_json.get_secret_value()
        try:
            account = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text("utf-8"))
            return {name: account[name] for name in ("client_email", "private_key", "token_uri")} | account
        except (OSError, ValueError, KeyError):
            # The cause is not shown: its text may hold the key.
            raise SettingsError("GA4_CREDENTIALS_JSON is no service account's JSON key; see .env.example") from None


class Ga4:
    """One property's export, opened."""

    def __init__(self, config: Ga4Config) -> None:
        account = config.account()
        login = Session("google", variable="GA4_CREDENTIALS_JSON")
        self._dataset = f"analytics_{config.property_id}"
        self._project = config.project
        self._root = f"{config.base_url.rstrip('/')}/bigquery/v2/projects/{config.project}"
        self.session = Session(
            "bigquery",
            RenewedToken("GA4_CREDENTIALS_JSON", "Authorization", "Bearer ", lambda: _service_token(login, account)),
            budget=budget_of(f"bigquery {self._root}"),
            throttled=throttled,
            read_seconds=120.0,
        )

    def read(self, stream: Stream, bookmark: Bookmark) -> Iterator[Page]:
        tables = self._tables()
        days = {name.removeprefix(INTRADAY) for name in tables}
        newest = max(days, default="")
        late = f"{datetime.strptime(newest, '%Y%m%d') - LATE_DAYS:%Y%m%d}" if newest else ""
        for name in sorted(tables):
            if name.startswith(INTRADAY) and name.removeprefix(INTRADAY) in tables:
                continue
            landed = bookmark.partitions.get(name)
            if landed is not None and name.removeprefix(INTRADAY) < late:
                continue
            # A closed day does not change any more, so nobody needs to know its version.
            version = self._version(name) if name.removeprefix(INTRADAY) >= late else ""
            if landed is None or landed != version:
                yield from self._table(name, version)

    def keys(self, stream: Stream) -> Iterator[Page]:
        return iter(())

    def fetch(self, stream: Stream, keys: Sequence[str]) -> Iterator[Page]:
        return iter(())

    def _tables(self) -> set[str]:
        """Days and intraday days that have a table: "20261018", "intraday_20261019"."""
        names: set[str] = set()
        given: dict[str, Any] = {"maxResults": TABLES_AT_ONCE}
        while True:
            answer = self.session.json("GET", f"{self._root}/datasets/{self._dataset}/tables", params=given)
            ids = [table["tableReference"]["tableId"] for table in answer.get("tables", [])]
            names |= {i.removeprefix(PREFIX) for i in ids if i.startswith(PREFIX)}
            if not answer.get("nextPageToken"):
                return {name for name in names if name.removeprefix(INTRADAY).isdigit()}
            if answer["nextPageToken"] == given.get("pageToken"):
                raise MalformedAnswer("bigquery: the table list's page token stands still")
            given["pageToken"] = answer["nextPageToken"]

    def _version(self, name: str) -> str:
        table = self.session.json("GET", f"{self._root}/datasets/{self._dataset}/tables/{PREFIX}{name}")
        return f"{table.get('lastModifiedTime', '')}/{table.get('numRows', '')}"

    def _table(self, name: str, version: str) -> Iterator[Page]:
        """One day, whole or not at all: a partition replaces the one before."""
        for attempt in range(READ_ATTEMPTS):
            pages = list(self._rows(name))
            expected, found = pages[0][1], sum(len(rows) for rows, _ in pages)
            if found == expected:
                break
            if attempt + 1 == READ_ATTEMPTS:
                raise MalformedAnswer(f"bigquery {PREFIX}{name}: {found} rows came of {expected}")
        # The table's name goes into the rows, so that landing can type many days at once.
        mark = b'{"_table":"%s",' % name.encode()
        for rows, _ in pages:
            yield Page(b"\n".join(mark + row[1:] for row in rows), is_lines=True, partition=name, version=version)

    def _rows(self, name: str) -> Iterator[tuple[list[bytes], int]]:
        """(rows as JSON texts, rows in all) a page."""
        query = f"SELECT TO_JSON_STRING(t) AS event FROM `{self._project}.{self._dataset}.{PREFIX}{name}` AS t"
        body = {"query": query, "useLegacySql": False, "maxResults": ROWS_AT_ONCE, "timeoutMs": QUERY_MILLISECONDS}
        answer = self.session.json("POST", f"{self._root}/queries", json_body=body)
        job = answer["jobReference"]
        given: dict[str, Any] = {"maxResults": ROWS_AT_ONCE, "timeoutMs": QUERY_MILLISECONDS}
        if job.get("location"):
            given["location"] = job["location"]
        while True:
            if answer.get("jobComplete"):
                rows = [row["f"][0]["v"].encode() for row in answer.get("rows", [])]
                yield rows, int(answer["totalRows"])
                if not answer.get("pageToken"):
                    return
                if answer["pageToken"] == given.get("pageToken"):
                    raise MalformedAnswer(f"bigquery {PREFIX}{name}: the page token stands still")
                given["pageToken"] = answer["pageToken"]
            answer = self.session.json("GET", f"{self._root}/queries/{job['jobId']}", params=given)


def _service_token(login: Session, account: dict[str, Any]) -> tuple[str, float]:
    """A token for an hour against a signed statement of who we are (RFC 7523)."""
    now = int(time.time())
    claims = {
        "iss": account["client_email"],
        "scope": SCOPE,
        "aud": account["token_uri"],
        "iat": now,
        "exp": now + 3600,
    }
    try:
        signer = google.auth.crypt.RSASigner.from_service_account_info(account)
    except ValueError:
        raise SettingsError("GA4_CREDENTIALS_JSON holds no usable private key; see .env.example") from None
    assertion = google.auth.jwt.encode(signer, claims).decode()
    return login.token(account["token_uri"], {"grant_type": JWT_GRANT, "assertion": assertion})


def throttled(response: requests.Response) -> float | None:
    """BigQuery says rateLimitExceeded or quotaExceeded with a 403."""
    if response.status_code in (403, 429) and (
        b"ateLimitExceeded" in response.content or b"quotaExceeded" in response.content
    ):
        return -1.0
    return None


SOURCE = Source("ga4", Ga4Config, STREAMS, Ga4)
