"""HubSpot (CRM 2026-09): contacts, companies, deals and e-mail consent.

Odd: every property is text; search stops at 10,000 rows, shows no associations and no archived rows; contacts are
changed by `lastmodifieddate`, everything else by `hs_lastmodifieddate`; consent has no change feed at all.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import requests
from pydantic import Field, SecretStr

from connectors.http import FixedHeader, Session, budget_of
from connectors.settings import VendorConfig, vendor_settings
from connectors.shape import shape_of
from connectors.stream import Bookmark, Page, Source, Stream, columns

VERSION = "2026-09"
LIST_PAGE = 100
SEARCH_PAGE = 200
SEARCH_END = 10_000
BATCH = 100
SECONDS_A_DAY = 86_400.0
# A tenth of the ten-second window stays free for the shop's other integrations.
RESERVED_SHARE = 0.1
SEARCHES_PER_SECOND = 4.0


def texts(*names: str) -> str:
    return f"STRUCT({', '.join(f'{name} VARCHAR' for name in names)})"


def crm_object(name: str, properties: str, associated: str | None = None) -> Stream:
    linked = {"associations": f"STRUCT({associated} STRUCT(results STRUCT(id VARCHAR, type VARCHAR)[]))"}
    return Stream(
        name,
        columns(
            {"id": "VARCHAR", "createdAt": "TIMESTAMP", "updatedAt": "TIMESTAMP"}
            | {"archived": "BOOLEAN", "archivedAt": "TIMESTAMP", "properties": properties}
            | (linked if associated else {}),
            required=("id", "createdAt", "updatedAt", "properties"),
            personal=("properties",),
        ),
        cursor="updatedAt",
    )


STREAMS = (
    crm_object(
        "contacts",
        texts("email", "firstname", "lastname", "phone", "mobilephone", "address", "city", "state", "zip", "country",
              "date_of_birth", "lifecyclestage", "company", "shopify_customer_id", "hs_email_optout",
              "hs_merged_object_ids", "lastmodifieddate"),
        "companies",
    ),
    crm_object(
        "companies", texts("name", "domain", "industry", "phone", "city", "country", "hs_lastmodifieddate")
    ),
    crm_object(
        "deals",
        texts("dealname", "amount", "deal_currency_code", "dealstage", "pipeline", "closedate", "hs_lastmodifieddate"),
        "contacts",
    ),
    Stream(
        "consents",
        columns(
            dict.fromkeys(("subscriberIdString", "channel", "subscriptionId", "subscriptionName", "status"), "VARCHAR")
            | dict.fromkeys(("source", "legalBasis", "legalBasisExplanation"), "VARCHAR")
            | {"timestamp": "TIMESTAMP", "setStatusSuccessReason": "VARCHAR"},
            required=("subscriberIdString", "subscriptionId", "channel", "status"),
            personal=("subscriberIdString",),
        ),
        key=("subscriberIdString", "subscriptionId", "channel"),
        cursor="timestamp",
        sweep_every=None,
    ),
)  # fmt: skip


class HubspotConfig(VendorConfig):
    """A private app's token or a service key."""

    model_config = vendor_settings("HUBSPOT_")

    access_token: SecretStr = Field(description="HubSpot private-app token or service key")
    base_url: str = Field(default="https://api.hubapi.com", description="Address of HubSpot's API")


class Hubspot:
    """One HubSpot account, opened."""

    def __init__(self, config: HubspotConfig) -> None:
        token = config.access_token.get_secret_value()
        self._base = config.base_url.rstrip("/")
        authentication = FixedHeader("HUBSPOT_ACCESS_TOKEN", "Authorization", f"Bearer {token}", token)
        account = f"hubspot {self._base} {token}"
        self.session = Session(
            "hubspot", authentication, budget=budget_of(account), throttled=throttled, broken=broken, pace=pace
        )
        # Search has a limit of its own, five a second an account, and tells nothing about it in headers.
        self._search = Session(
            "hubspot",
            authentication,
            budget=budget_of(f"{account} search", requests_per_second=SEARCHES_PER_SECOND),
            throttled=throttled,
            broken=broken,
            metrics=self.session.metrics,
        )

    def read(self, stream: Stream, bookmark: Bookmark) -> Iterator[Page]:
        if stream.name == "consents":
            yield from self._consents()
        elif bookmark.since is None:
            yield from self._list(stream, property_names(stream), associated(stream), archived=False)
        else:
            yield from self._changed(stream, bookmark.since)

    def keys(self, stream: Stream) -> Iterator[Page]:
        yield from self._list(stream, [modified(stream)], None, archived=False)
        for page in self._list(stream, property_names(stream), associated(stream), archived=True):
            yield Page(page.content, page.path, is_deleted=True)

    def fetch(self, stream: Stream, keys: Sequence[str]) -> Iterator[Page]:
        url = f"{self._base}/crm/objects/{VERSION}/{stream.name}/batch/read"
        for at in range(0, len(keys), BATCH):
            inputs = [{"id": key} for key in keys[at : at + BATCH]]
            body = {"inputs": inputs, "properties": property_names(stream), "propertiesWithHistory": []}
            yield self._linked(stream, self.session.json("POST", url, json_body=body, check=_has_results)["results"])

    def _list(self, stream: Stream, properties: list[str], linked: str | None, *, archived: bool) -> Iterator[Page]:
        url = f"{self._base}/crm/objects/{VERSION}/{stream.name}"
        given = {"limit": LIST_PAGE, "properties": ",".join(properties), "archived": str(archived).lower()}
        if linked:
            given["associations"] = linked
        after = None
        while True:
            body, answer = self.session.page(
                "GET",
                url,
                params=given | ({"after": after} if after else {}),
                check=partial(_page_problem, after),
            )
            yield Page(body, path=("results",))
            after = _following(answer)
            if after is None:
                return

    def _changed(self, stream: Stream, since: datetime) -> Iterator[Page]:
        """Search by time of change. Past 10,000 rows go on from the last time, or by id within one crowded time."""
        name, start = modified(stream), _milliseconds(since)
        after_id: str | None = None
        while True:
            if after_id is None:
                filters, order = [condition(name, "GTE", start)], name
            else:
                filters, order = (
                    [condition(name, "EQ", start), condition("hs_object_id", "GT", after_id)],
                    "hs_object_id",
                )
            last: dict[str, Any] = {}
            is_cut = False
            for rows, has_end_come in self._searched(stream, filters, order):
                yield self._linked(stream, rows)
                last, is_cut = rows[-1], has_end_come
            if is_cut and after_id is not None:
                after_id = last["id"]
            elif is_cut:
                reached = _milliseconds(datetime.fromisoformat(last["updatedAt"]))
                # A bulk import gave more rows than a search shows the same time: walk through them by id.
                start, after_id = (start, "0") if reached == start else (reached, None)
            elif after_id is not None:
                start, after_id = start + 1, None
            else:
                return

    def _searched(self, stream: Stream, filters: list[Any], order: str) -> Iterator[tuple[list[dict[str, Any]], bool]]:
        """Pages of one search, and whether the vendor's end of 10,000 rows cut it off after this page."""
        url = f"{self._base}/crm/objects/{VERSION}/{stream.name}/search"
        after = "0"
        while True:
            body = {
                "filterGroups": [{"filters": filters}],
                "sorts": [{"propertyName": order, "direction": "ASCENDING"}],
                "properties": property_names(stream),
                "limit": SEARCH_PAGE,
                "after": after,
            }
            answer = self._search.json("POST", url, json_body=body, check=partial(_page_problem, after))
            following = _following(answer)
            is_cut = following is not None and int(following) + SEARCH_PAGE > SEARCH_END
            if answer["results"]:
                yield answer["results"], is_cut
            if following is None or is_cut:
                return
            after = following

    def _linked(self, stream: Stream, rows: list[dict[str, Any]]) -> Page:
        """The rows with their associations, which search and batch read leave out."""
        other = associated(stream)
        if other and rows:
            url = f"{self._base}/crm/associations/{VERSION}/{stream.name}/{other}/batch/read"
            kind = f"{SINGULAR[stream.name]}_to_{SINGULAR[other]}"
            links: dict[str, list[dict[str, str]]] = {}
            for at in range(0, len(rows), BATCH):
                inputs = [{"id": row["id"]} for row in rows[at : at + BATCH]]
                answer = self.session.json("POST", url, json_body={"inputs": inputs}, check=_has_results)
                for found in answer["results"]:
                    links[found["from"]["id"]] = [{"id": str(to["toObjectId"]), "type": kind} for to in found["to"]]
            rows = [
                r | ({"associations": {other: {"results": links[r["id"]]}}} if r["id"] in links else {}) for r in rows
            ]
        return Page(rows)

    def _consents(self) -> Iterator[Page]:
        """All of them, every time: an opt-out changes nothing that could be searched by, and must not be missed."""
        url = f"{self._base}/communication-preferences/{VERSION}/statuses/batch/read"
        contacts = STREAMS[0]
        waiting: list[str] = []
        for page in self._list(contacts, ["email"], None, archived=False):
            assert isinstance(page.content, bytes)
            waiting += [
                r["properties"]["email"] for r in json.loads(page.content)["results"] if r["properties"]["email"]
            ]
            while len(waiting) >= BATCH:
                yield self._consents_of(url, waiting[:BATCH])
                waiting = waiting[BATCH:]
        if waiting:
            yield self._consents_of(url, waiting)

    def _consents_of(self, url: str, addresses: list[str]) -> Page:
        answer = self.session.json(
            "POST", url, params={"channel": "EMAIL"}, json_body={"inputs": addresses}, check=_has_results
        )
        return Page([status for result in answer["results"] for status in result.get("statuses", [])])


SINGULAR = {"contacts": "contact", "companies": "company", "deals": "deal"}


def _has_results(answer: Any) -> str | None:
    return None if isinstance(answer["results"], list) else "results is no list"


def _following(answer: Any) -> str | None:
    following: str | None = answer.get("paging", {}).get("next", {}).get("after")
    return following


def _page_problem(after: str | None, answer: Any) -> str | None:
    """A page that cannot be true: taken for one it would skip rows without a word."""
    following = _following(answer)
    if following is not None and not answer["results"]:
        return "an empty page in the middle"
    if following is not None and following == after:
        return "the cursor stands still"
    return _has_results(answer)


def property_names(stream: Stream) -> list[str]:
    return list(shape_of(stream.types["properties"]).fields or ())


def associated(stream: Stream) -> str | None:
    fields = shape_of(stream.types["associations"]).fields if "associations" in stream.types else None
    return next(iter(fields or ()), None)


def modified(stream: Stream) -> str:
    return "lastmodifieddate" if stream.name == "contacts" else "hs_lastmodifieddate"


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def condition(name: str, operator: str, value: object) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def throttled(response: requests.Response) -> float | None:
    """HubSpot sends no Retry-After: the policy names the window; the daily one ends at the account's midnight."""
    if response.status_code != 429:
        return None
    if "Retry-After" in response.headers:
        return float(response.headers["Retry-After"])
    if b'"DAILY"' in response.content:
        return SECONDS_A_DAY
    # The ten-second window rolls: room comes back little by little, so backing off beats sitting out the whole of it.
    return 1.0 if b'"SECONDLY"' in response.content else -1.0


def broken(response: requests.Response) -> str | None:
    """A batch of which some records failed at the vendor (207); records that do not exist are no failure."""
    if response.status_code != 207:
        return None
    failed = [error.get("category") for error in response.json().get("errors", [])]
    lost = [category for category in failed if category != "OBJECT_NOT_FOUND"]
    return f"{len(lost)} records of the batch failed ({lost[0]})" if lost else None


def pace(response: requests.Response) -> float:
    """Spread what is left of the window when it runs low."""
    remaining = response.headers.get("X-HubSpot-RateLimit-Remaining")
    most = response.headers.get("X-HubSpot-RateLimit-Max")
    window = response.headers.get("X-HubSpot-RateLimit-Interval-Milliseconds")
    if remaining is None or most is None or window is None or float(remaining) > float(most) * RESERVED_SHARE:
        return 0.0
    return float(window) / 1000 / max(1.0, float(most) * RESERVED_SHARE)


SOURCE = Source("hubspot", HubspotConfig, STREAMS, Hubspot)
