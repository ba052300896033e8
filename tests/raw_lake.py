"""Writes a raw lake without any vendor: empty streams, hand-made rows, or the world's tables, for tests of the warehouse."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb

MONEY = "STRUCT(amount DECIMAL(18,4), currencyCode VARCHAR)"
MONEY_BAG = f"STRUCT(shopMoney {MONEY})"
LANDING = {"_extra": "VARCHAR", "_landed_at": "TIMESTAMP", "_is_deleted": "BOOLEAN", "_row_hash": "VARCHAR"}


def _texts(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "VARCHAR")


def _struct(**fields: str) -> str:
    return "STRUCT(" + ", ".join(f"{name} {type_}" for name, type_ in fields.items()) + ")"


_TIMES = {"createdAt": "TIMESTAMP", "updatedAt": "TIMESTAMP"}
_LINKS = _struct(results=_struct(id="VARCHAR", type="VARCHAR") + "[]")
_PARAMETER = _struct(string_value="VARCHAR", int_value="BIGINT", float_value="DOUBLE", double_value="DOUBLE")

RAW_COLUMNS: dict[str, dict[str, str]] = {
    "shopify/customers": {"id": "VARCHAR", "legacyResourceId": "VARCHAR", **_TIMES}
    | _texts("firstName", "lastName", "locale", "state")
    | {
        "tags": "VARCHAR[]",
        "verifiedEmail": "BOOLEAN",
        "numberOfOrders": "BIGINT",
        "amountSpent": MONEY,
        "defaultEmailAddress": _struct(
            emailAddress="VARCHAR",
            marketingState="VARCHAR",
            marketingOptInLevel="VARCHAR",
            marketingUpdatedAt="TIMESTAMP",
            validFormat="BOOLEAN",
        ),
        "defaultPhoneNumber": _struct(
            phoneNumber="VARCHAR",
            smsMarketingConsent=_struct(
                state="VARCHAR", optInLevel="VARCHAR", updatedAt="TIMESTAMP", collectedFrom="VARCHAR"
            ),
        ),
        "defaultAddress": _struct(
            **_texts("address1", "address2", "city", "provinceCode", "countryCodeV2", "zip", "phone")
        ),
    },
    "shopify/orders": {"id": "VARCHAR", "name": "VARCHAR", **_TIMES}
    | {"processedAt": "TIMESTAMP", "cancelledAt": "TIMESTAMP", "cancelReason": "VARCHAR", "test": "BOOLEAN"}
    | _texts("email", "displayFinancialStatus", "displayFulfillmentStatus", "currencyCode", "presentmentCurrencyCode")
    | {"customerAcceptsMarketing": "BOOLEAN", "sourceName": "VARCHAR", "discountCodes": "VARCHAR[]"}
    | {"customer": _struct(id="VARCHAR")}
    | dict.fromkeys(
        (
            "totalPriceSet",
            "subtotalPriceSet",
            "totalDiscountsSet",
            "totalTaxSet",
            "totalShippingPriceSet",
            "totalRefundedSet",
        ),
        MONEY_BAG,
    )
    | {
        "lineItems": _struct(
            id="VARCHAR",
            sku="VARCHAR",
            title="VARCHAR",
            quantity="BIGINT",
            currentQuantity="BIGINT",
            product=_struct(id="VARCHAR"),
            variant=_struct(id="VARCHAR"),
            originalUnitPriceSet=MONEY_BAG,
            discountedUnitPriceSet=MONEY_BAG,
        )
        + "[]",
        "refunds": _struct(id="VARCHAR", createdAt="TIMESTAMP", totalRefundedSet=MONEY_BAG) + "[]",
    },
    "shopify/products": _texts("id", "title", "vendor", "productType", "handle", "status")
    | {"tags": "VARCHAR[]", **_TIMES}
    | {"variants": _struct(id="VARCHAR", sku="VARCHAR", title="VARCHAR", price="DECIMAL(18,4)") + "[]"},
    "shopify/abandoned_checkouts": {"id": "VARCHAR", "name": "VARCHAR", **_TIMES}
    | {"completedAt": "TIMESTAMP", "abandonedCheckoutUrl": "VARCHAR", "customer": _struct(id="VARCHAR")}
    | {"discountCodes": "VARCHAR[]", "totalPriceSet": MONEY_BAG}
    | {
        "lineItems": _struct(
            id="VARCHAR",
            sku="VARCHAR",
            title="VARCHAR",
            quantity="BIGINT",
            product=_struct(id="VARCHAR"),
            variant=_struct(id="VARCHAR"),
        )
        + "[]"
    },
    "hubspot/contacts": {"id": "VARCHAR", **_TIMES, "archived": "BOOLEAN", "archivedAt": "TIMESTAMP"}
    | {
        "properties": _struct(
            **_texts(
                *"email firstname lastname phone mobilephone address city state zip country date_of_birth lifecyclestage "
                "company shopify_customer_id hs_email_optout hs_merged_object_ids lastmodifieddate".split()
            )
        ),
        "associations": _struct(companies=_LINKS),
    },
    "hubspot/companies": {"id": "VARCHAR", **_TIMES, "archived": "BOOLEAN", "archivedAt": "TIMESTAMP"}
    | {
        "properties": _struct(**_texts("name", "domain", "industry", "phone", "city", "country", "hs_lastmodifieddate"))
    },
    "hubspot/deals": {"id": "VARCHAR", **_TIMES, "archived": "BOOLEAN", "archivedAt": "TIMESTAMP"}
    | {
        "properties": _struct(
            **_texts(
                "dealname", "amount", "deal_currency_code", "dealstage", "pipeline", "closedate", "hs_lastmodifieddate"
            )
        ),
        "associations": _struct(contacts=_LINKS),
    },
    "hubspot/consents": _texts(
        "subscriberIdString",
        "channel",
        "subscriptionId",
        "subscriptionName",
        "status",
        "source",
        "legalBasis",
        "legalBasisExplanation",
    )
    | {"timestamp": "TIMESTAMP", "setStatusSuccessReason": "VARCHAR"},
    "ga4/events": {"_table": "VARCHAR", "event_date": "VARCHAR", "event_timestamp": "BIGINT", "event_name": "VARCHAR"}
    | {
        "event_params": _struct(key="VARCHAR", value=_PARAMETER) + "[]",
        "user_id": "VARCHAR",
        "user_pseudo_id": "VARCHAR",
    }
    | {"user_first_touch_timestamp": "BIGINT"}
    | {"privacy_info": _struct(**_texts("analytics_storage", "ads_storage", "uses_transient_token"))}
    | {
        "device": _struct(
            **_texts("category", "mobile_brand_name", "operating_system", "language"),
            web_info=_struct(browser="VARCHAR", hostname="VARCHAR"),
        ),
        "geo": _struct(**_texts("country", "region", "city")),
        "traffic_source": _struct(**_texts("name", "medium", "source")),
        "collected_traffic_source": _struct(
            **_texts("manual_campaign_name", "manual_source", "manual_medium", "gclid")
        ),
        "stream_id": "VARCHAR",
        "platform": "VARCHAR",
        "ecommerce": _struct(
            transaction_id="VARCHAR",
            purchase_revenue="DOUBLE",
            tax_value="DOUBLE",
            shipping_value="DOUBLE",
            total_item_quantity="BIGINT",
            unique_items="BIGINT",
        ),
        "items": _struct(
            **_texts("item_id", "item_name", "item_brand", "item_variant", "item_category", "item_category2"),
            price="DOUBLE",
            quantity="BIGINT",
            item_revenue="DOUBLE",
            coupon="VARCHAR",
        )
        + "[]",
    }
    | dict.fromkeys(("batch_page_id", "batch_ordering_id", "batch_event_index"), "BIGINT"),
    "mailchimp/members": _texts(
        *"id list_id email_address unique_email_id contact_id full_name status unsubscribe_reason".split()
    )
    | dict.fromkeys(("timestamp_signup", "timestamp_opt", "last_changed"), "TIMESTAMP")
    | {"tags": _struct(id="BIGINT", name="VARCHAR") + "[]"},
}


def write_empty(root: Path) -> Path:
    """Every raw stream with its schema file and no row, as the ingest stage leaves an unconfigured vendor."""
    with duckdb.connect() as connection:
        for stream, columns in RAW_COLUMNS.items():
            folder = root / "raw" / stream
            folder.mkdir(parents=True, exist_ok=True)
            declared = ", ".join(f'CAST(NULL AS {type_}) AS "{name}"' for name, type_ in (columns | LANDING).items())
            connection.execute(f"COPY (SELECT {declared} WHERE false) TO '{folder}/schema.parquet' (FORMAT parquet)")
    return root


def write_rows(root: Path, stream: str, rows: Iterable[Mapping[str, Any]], commit: str = "0001") -> None:
    """Land hand-made rows (missing columns are null) as one commit; `_landed_at` is fixed unless a row says it."""
    columns = RAW_COLUMNS[stream] | LANDING
    folder = root / "raw" / stream
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / f".{commit}.jsonl"
    with lines.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows):
            unknown = set(row) - set(columns)
            if unknown:
                raise KeyError(f"{stream} has no column {', '.join(sorted(unknown))}")
            landed = {"_landed_at": "2026-10-19 01:00:00", "_is_deleted": False, "_row_hash": f"{commit}-{number}"}
            file.write(json.dumps(landed | dict(row), default=str, ensure_ascii=False) + "\n")
    types = ", ".join(f"'{name}': '{type_}'" for name, type_ in columns.items())
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (FROM read_json('{lines}', format = 'newline_delimited', columns = {{{types}}})) "
            f"TO '{folder}/{commit}.parquet' (FORMAT parquet)"
        )
    lines.unlink()
