"""Google Ads: what each campaign cost a day, and the conversions it claims.

Odd: no developer token any more, the Google Cloud project is what has access; money in millionths; conversions are
fractions and dated to the day of the click, so days change for a month; fields that are zero are left out of the
answer; an error may be the last element of a 200.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import requests
from pydantic import Field, SecretStr

from connectors.google_account import bearer
from connectors.http import Session, budget_of
from connectors.settings import VendorConfig, vendor_settings
from connectors.stream import Bookmark, Page, Source, Stream, columns

SCOPE = "https://www.googleapis.com/auth/adwords"
VERSION = "v26"
# Conversions come to a click's day for as long as the account's window, a month unless somebody changed it.
RESTATED = timedelta(days=30)
HISTORY = timedelta(days=1126)
DAYS_AT_ONCE = 366

STREAMS = (
    Stream(
        "campaign_days",
        columns(
            {"customer_id": "VARCHAR", "campaign_id": "VARCHAR", "date": "TIMESTAMP"}
            | {
                "customer": "STRUCT(resourceName VARCHAR, id VARCHAR, currencyCode VARCHAR, timeZone VARCHAR)",
                "campaign": "STRUCT(resourceName VARCHAR, id VARCHAR, name VARCHAR, status VARCHAR)",
                "metrics": "STRUCT(costMicros BIGINT, impressions BIGINT, clicks BIGINT, conversions DOUBLE, "
                "conversionsValue DOUBLE)",
                "segments": "STRUCT(date VARCHAR)",
            },
            required=("customer_id", "campaign_id", "date"),
        ),
        key=("customer_id", "campaign_id", "date"),
        cursor="date",
        overlap=RESTATED,
        sweep_every=None,
    ),
)
QUERY = (
    "SELECT customer.id, customer.currency_code, customer.time_zone, campaign.id, campaign.name, campaign.status, "
    "segments.date, metrics.cost_micros, metrics.impressions, metrics.clicks, metrics.conversions, "
    "metrics.conversions_value FROM campaign WHERE segments.date BETWEEN '{since}' AND '{until}'"
)


class GoogleAdsConfig(VendorConfig):
    """A service account with access to one Google Ads account, directly or through a manager."""

    model_config = vendor_settings("GOOGLE_ADS_")

    customer_id: str = Field(description="Google Ads account (customer id) whose campaigns are read")
    login_customer_id: str = Field("", description="Manager account through which it is reached, digits only")
    credentials_json: SecretStr = Field(description="Service account's JSON key: the text itself or the path of a file")
    base_url: str = Field("https://googleads.googleapis.com", description="Address of the Google Ads API")


class GoogleAds:
    """One Google Ads account, opened for reading."""

    def __init__(self, config: GoogleAdsConfig) -> None:
        customer = config.customer_id.replace("-", "")
        self._url = f"{config.base_url.rstrip('/')}/{VERSION}/customers/{customer}/googleAds:searchStream"
        manager = config.login_customer_id.replace("-", "")
        self._headers = {"login-customer-id": manager} if manager else {}
        self.session = Session(
            "google_ads",
            bearer(config.credentials_json, "GOOGLE_ADS_CREDENTIALS_JSON", SCOPE),
            budget=budget_of(f"google_ads {self._url}", concurrency=1),
            throttled=throttled,
            broken=broken,
            read_seconds=120.0,
        )

    def read(self, stream: Stream, bookmark: Bookmark) -> Iterator[Page]:
        until = bookmark.as_of.date()
        start = (bookmark.since or bookmark.as_of - HISTORY).date()
        while start <= until:
            end = min(start + timedelta(days=DAYS_AT_ONCE - 1), until)
            yield Page(self._days(start, end))
            start = end + timedelta(days=1)

    def keys(self, stream: Stream) -> Iterator[Page]:
        return iter(())

    def fetch(self, stream: Stream, keys: Sequence[str]) -> Iterator[Page]:
        return iter(())

    def _days(self, since: date, until: date) -> list[dict[str, Any]]:
        query = {"query": QUERY.format(since=since, until=until)}
        chunks = self.session.json("POST", self._url, json_body=query, headers=self._headers, check=_problem)
        # A row without its keys is landing's to reject.
        return [
            {
                "customer_id": row.get("customer", {}).get("id"),
                "campaign_id": row.get("campaign", {}).get("id"),
                "date": row.get("segments", {}).get("date"),
            }
            | row
            for chunk in chunks
            for row in chunk.get("results", [])
        ]


def _problem(answer: Any) -> str | None:
    return None if isinstance(answer, list) else "no stream of chunks"


def throttled(response: requests.Response) -> float | None:
    """Google says in the error's details how long to wait, in seconds as text ("30s")."""
    if response.status_code != 429:
        return None
    try:
        details = response.json()["error"].get("details", [])
        delays = [
            error["details"]["quotaErrorDetails"]["retryDelay"]
            for detail in details
            for error in detail.get("errors", [])
            if "retryDelay" in error.get("details", {}).get("quotaErrorDetails", {})
        ]
        return max(float(delay.removesuffix("s")) for delay in delays)
    except (ValueError, KeyError, AttributeError):
        return -1.0


def broken(response: requests.Response) -> str | None:
    """A stream that failed on its way ends with an error where the status was sent long before."""
    return "the stream ended with an error" if b'"error":' in response.content.replace(b" ", b"") else None


SOURCE = Source("google_ads", GoogleAdsConfig, STREAMS, GoogleAds)
