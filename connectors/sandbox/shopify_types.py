"""How Shopify's objects are read from the world's tables: every type's fields, filters and sort keys as SQL.

One declaration serves both routes, the paged queries and the bulk operations. SQL writes the JSON text itself, whole
pages or whole tables at once: a million order lines leave the engine as finished lines and never meet Python.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Literal

SHOP_CURRENCY = "USD"


@dataclass(frozen=True)
class Leaf:
    """A scalar (or list of scalars): SQL that gives its JSON text, never NULL. `{t}` stands for the table's alias."""

    sql: str


@dataclass(frozen=True)
class Object:
    """An object made of the same row; null where `present` does not hold."""

    type_name: str
    fields: Mapping[str, "Field"]
    present: str | None = None


@dataclass(frozen=True)
class One:
    """The entity whose id stands in the column `key`; null when it was deleted."""

    entity: str
    key: str


@dataclass(frozen=True)
class Many:
    """A plain list of the entities whose column `key` holds this row's id (`order.refunds`)."""

    entity: str
    key: str


@dataclass(frozen=True)
class Connection:
    """A paged connection to the entities whose column `key` holds this row's id."""

    entity: str
    key: str


Field = Leaf | Object | One | Many | Connection
FilterKind = Literal["time", "day", "id", "number", "text", "boolean", "tag"]


@dataclass(frozen=True)
class Filter:
    """A search field: its SQL and how its values compare (`day`: a whole day at a time)."""

    kind: FilterKind
    sql: str


@dataclass(frozen=True)
class Entity:
    """A type with rows of its own."""

    table: str
    fields: Mapping[str, Field]
    filters: Mapping[str, Filter] = dataclass_field(default_factory=dict)
    sort_keys: Mapping[str, str] = dataclass_field(default_factory=lambda: {"ID": "{t}.id"})


def text(sql: str) -> Leaf:
    return Leaf(f"coalesce(to_json({sql})::varchar, 'null')")


def plain(sql: str) -> Leaf:
    """Numbers and booleans."""
    return Leaf(f"coalesce(({sql})::varchar, 'null')")


def quoted(sql: str) -> Leaf:
    """Text that needs no escaping: decimals, ids, enum values."""
    return Leaf(f"""coalesce('"' || ({sql})::varchar || '"', 'null')""")


def texts(sql: str) -> Leaf:
    return Leaf(f"coalesce(to_json({sql})::varchar, '[]')")


def instant(sql: str) -> Leaf:
    return quoted(f"strftime({sql}, '%Y-%m-%dT%H:%M:%SZ')")


def gid(type_name: str, sql: str = "{t}.id") -> Leaf:
    return quoted(f"'gid://shopify/{type_name}/' || ({sql})::varchar")


def constant(json_text: str) -> Leaf:
    return Leaf(f"'{json_text}'")


def money(sql: str, currency: str = f"'{SHOP_CURRENCY}'", present: str | None = None) -> Object:
    return Object("MoneyV2", {"amount": quoted(sql), "currencyCode": quoted(currency)}, present)


def money_bag(sql: str, currency: str = f"'{SHOP_CURRENCY}'") -> Object:
    """The shop sells in one currency, so what the buyer saw is what the shop gets."""
    return Object("MoneyBag", {"shopMoney": money(sql, currency), "presentmentMoney": money(sql, currency)})


_ORDER_COUNT = "(select count(*) from shopify_orders o where o.customer_id = {t}.id)"
_ORDER_SUM = (
    "coalesce((select sum(o.total_price - o.total_refunded) from shopify_orders o"
    " where o.customer_id = {t}.id and o.cancelled_at is null), 0)::decimal(18,2)"
)
_SMS_STATE = (
    "case coalesce({t}.sms_marketing_state, 'NOT_SUBSCRIBED') when 'NOT_SUBSCRIBED' then 'NEVER_SUBSCRIBED'"
    " else {t}.sms_marketing_state end"
)


def _price_sets(**columns: str) -> dict[str, Field]:
    return {name: money_bag(f"{{t}}.{column}", "{t}.currency_code") for name, column in columns.items()}


ENTITIES: dict[str, Entity] = {
    "Customer": Entity(
        table="shopify_customers",
        fields={
            "id": gid("Customer"),
            "legacyResourceId": quoted("{t}.id"),
            "createdAt": instant("{t}.created_at"),
            "updatedAt": instant("{t}.updated_at"),
            "firstName": text("{t}.first_name"),
            "lastName": text("{t}.last_name"),
            "displayName": text("trim(concat_ws(' ', {t}.first_name, {t}.last_name))"),
            "locale": text("coalesce({t}.locale, 'ja')"),
            "note": text("{t}.note"),
            "state": quoted("{t}.state"),
            "tags": texts("{t}.tags"),
            "taxExempt": constant("false"),
            "verifiedEmail": plain("coalesce({t}.verified_email, false)"),
            "dataSaleOptOut": constant("false"),
            "numberOfOrders": quoted(_ORDER_COUNT),
            "amountSpent": money(_ORDER_SUM),
            "defaultEmailAddress": Object(
                "CustomerEmailAddress",
                {
                    "emailAddress": text("{t}.email"),
                    "marketingState": quoted("coalesce({t}.email_marketing_state, 'NOT_SUBSCRIBED')"),
                    "marketingOptInLevel": quoted("{t}.email_opt_in_level"),
                    "marketingUpdatedAt": instant("{t}.email_marketing_updated_at"),
                    "validFormat": plain(r"regexp_full_match({t}.email, '[^@\s]+@[^@\s]+\.[^@\s.]+')"),
                    "openTrackingLevel": constant('"UNKNOWN"'),
                },
                present="{t}.email is not null",
            ),
            "defaultPhoneNumber": Object(
                "CustomerPhoneNumber",
                {
                    "phoneNumber": text("{t}.phone"),
                    "smsMarketingConsent": Object(
                        "CustomerSmsMarketingConsent",
                        {
                            "state": quoted(_SMS_STATE),
                            "optInLevel": quoted("{t}.sms_opt_in_level"),
                            "updatedAt": instant("{t}.sms_marketing_updated_at"),
                            "collectedFrom": quoted(
                                "case when {t}.sms_marketing_updated_at is not null then 'SHOPIFY' end"
                            ),
                        },
                    ),
                    "whatsAppMarketingConsent": Object(
                        "CustomerWhatsAppMarketingConsent",
                        {
                            "state": constant('"NEVER_SUBSCRIBED"'),
                            "optInLevel": constant("null"),
                            "updatedAt": constant("null"),
                            "collectedFrom": constant("null"),
                        },
                    ),
                },
                present="{t}.phone is not null",
            ),
            "defaultAddress": Object(
                "MailingAddress",
                {
                    "id": gid("MailingAddress", "{t}.id || '?model_name=CustomerAddress'"),
                    "firstName": text("{t}.first_name"),
                    "lastName": text("{t}.last_name"),
                    "address1": text("{t}.address1"),
                    "address2": text("{t}.address2"),
                    "city": text("{t}.city"),
                    "provinceCode": text("{t}.province_code"),
                    "countryCodeV2": quoted("{t}.country_code"),
                    "zip": text("{t}.zip"),
                    "phone": text("{t}.address_phone"),
                },
                present="{t}.address1 is not null or {t}.zip is not null",
            ),
            "orders": Connection("Order", "customer_id"),
        },
        filters={
            "id": Filter("id", "{t}.id"),
            # the vendor's schema: "matching a whole day"
            "updated_at": Filter("day", "{t}.updated_at"),
            "customer_date": Filter("time", "{t}.created_at"),
            "email": Filter("text", "{t}.email"),
            "phone": Filter("text", "{t}.phone"),
            "first_name": Filter("text", "{t}.first_name"),
            "last_name": Filter("text", "{t}.last_name"),
            "country": Filter("text", "{t}.country_code"),
            "state": Filter("text", "{t}.state"),
            "tag": Filter("tag", "{t}.tags"),
            "orders_count": Filter("number", _ORDER_COUNT),
            "accepts_marketing": Filter("boolean", "coalesce({t}.email_marketing_state, '') = 'SUBSCRIBED'"),
        },
        sort_keys={"ID": "{t}.id", "UPDATED_AT": "{t}.updated_at", "CREATED_AT": "{t}.created_at"},
    ),
    "Order": Entity(
        table="shopify_orders",
        fields={
            "id": gid("Order"),
            "legacyResourceId": quoted("{t}.id"),
            "name": text("{t}.name"),
            "createdAt": instant("{t}.created_at"),
            "updatedAt": instant("{t}.updated_at"),
            "processedAt": instant("{t}.processed_at"),
            "cancelledAt": instant("{t}.cancelled_at"),
            "cancelReason": quoted("{t}.cancel_reason"),
            "test": plain("coalesce({t}.test, false)"),
            "email": text("{t}.email"),
            "phone": text("{t}.phone"),
            "displayFinancialStatus": quoted("{t}.financial_status"),
            "displayFulfillmentStatus": quoted("{t}.fulfillment_status"),
            "currencyCode": quoted("{t}.currency_code"),
            "presentmentCurrencyCode": quoted("{t}.currency_code"),
            "customerAcceptsMarketing": plain("coalesce({t}.customer_accepts_marketing, false)"),
            "sourceName": text("{t}.source_name"),
            "discountCodes": texts("{t}.discount_codes"),
            "customer": One("Customer", "customer_id"),
            **_price_sets(
                totalPriceSet="total_price",
                subtotalPriceSet="subtotal",
                totalDiscountsSet="total_discounts",
                totalTaxSet="total_tax",
                totalShippingPriceSet="total_shipping",
                totalRefundedSet="total_refunded",
            ),
            "lineItems": Connection("LineItem", "order_id"),
            "refunds": Many("Refund", "order_id"),
        },
        filters={
            "id": Filter("id", "{t}.id"),
            "updated_at": Filter("time", "{t}.updated_at"),
            "created_at": Filter("time", "{t}.created_at"),
            "processed_at": Filter("time", "{t}.processed_at"),
            "customer_id": Filter("id", "{t}.customer_id"),
            "email": Filter("text", "{t}.email"),
            "name": Filter("text", "{t}.name"),
            "financial_status": Filter("text", "{t}.financial_status"),
            "fulfillment_status": Filter("text", "{t}.fulfillment_status"),
            "source_name": Filter("text", "{t}.source_name"),
            "discount_code": Filter("tag", "{t}.discount_codes"),
            "test": Filter("boolean", "coalesce({t}.test, false)"),
            "current_total_price": Filter("number", "({t}.total_price - {t}.total_refunded)"),
        },
        sort_keys={
            "ID": "{t}.id",
            "UPDATED_AT": "{t}.updated_at",
            "CREATED_AT": "{t}.created_at",
            "PROCESSED_AT": "{t}.processed_at",
            "TOTAL_PRICE": "{t}.total_price",
        },
    ),
    "LineItem": Entity(
        table="shopify_order_lines",
        fields={
            "id": gid("LineItem"),
            "sku": text("{t}.sku"),
            "title": text("{t}.title"),
            "name": text("{t}.title"),
            "quantity": plain("{t}.quantity"),
            "currentQuantity": plain("{t}.current_quantity"),
            "product": One("Product", "product_id"),
            "variant": One("ProductVariant", "variant_id"),
            "originalUnitPriceSet": money_bag("{t}.original_unit_price"),
            "discountedUnitPriceSet": money_bag("{t}.discounted_unit_price"),
            "originalTotalSet": money_bag("({t}.original_unit_price * {t}.quantity)::decimal(18,2)"),
        },
    ),
    "Refund": Entity(
        table="shopify_refunds",
        fields={
            "id": gid("Refund"),
            "legacyResourceId": quoted("{t}.id"),
            "createdAt": instant("{t}.created_at"),
            "updatedAt": instant("{t}.updated_at"),
            "processedAt": instant("{t}.created_at"),
            "note": constant("null"),
            "totalRefundedSet": money_bag("{t}.amount"),
            "order": One("Order", "order_id"),
        },
    ),
    "Product": Entity(
        table="shopify_products",
        fields={
            "id": gid("Product"),
            "legacyResourceId": quoted("{t}.id"),
            "title": text("{t}.title"),
            "vendor": text("{t}.vendor"),
            "productType": text("{t}.product_type"),
            "handle": text("{t}.handle"),
            "status": quoted("{t}.status"),
            "tags": texts("{t}.tags"),
            "createdAt": instant("{t}.created_at"),
            "updatedAt": instant("{t}.updated_at"),
            "variants": Connection("ProductVariant", "product_id"),
        },
        filters={
            "id": Filter("id", "{t}.id"),
            "updated_at": Filter("time", "{t}.updated_at"),
            "created_at": Filter("time", "{t}.created_at"),
            "title": Filter("text", "{t}.title"),
            "handle": Filter("text", "{t}.handle"),
            "vendor": Filter("text", "{t}.vendor"),
            "product_type": Filter("text", "{t}.product_type"),
            "status": Filter("text", "{t}.status"),
            "tag": Filter("tag", "{t}.tags"),
        },
        sort_keys={
            "ID": "{t}.id",
            "UPDATED_AT": "{t}.updated_at",
            "CREATED_AT": "{t}.created_at",
            "TITLE": "{t}.title",
            "PRODUCT_TYPE": "{t}.product_type",
            "VENDOR": "{t}.vendor",
        },
    ),
    "ProductVariant": Entity(
        table="shopify_variants",
        fields={
            "id": gid("ProductVariant"),
            "legacyResourceId": quoted("{t}.id"),
            "sku": text("{t}.sku"),
            "title": text("{t}.title"),
            "price": quoted("{t}.price"),
            "product": One("Product", "product_id"),
        },
        sort_keys={"ID": "{t}.id", "POSITION": "{t}.id", "SKU": "{t}.sku", "TITLE": "{t}.title"},
    ),
    "AbandonedCheckout": Entity(
        table="shopify_checkouts",
        fields={
            "id": gid("AbandonedCheckout"),
            "name": text("{t}.name"),
            "note": constant('""'),
            "createdAt": instant("{t}.created_at"),
            "updatedAt": instant("{t}.updated_at"),
            "completedAt": instant("{t}.completed_at"),
            "abandonedCheckoutUrl": text("{t}.abandoned_checkout_url"),
            "customer": One("Customer", "customer_id"),
            "discountCodes": texts("{t}.discount_codes"),
            "totalPriceSet": money_bag("{t}.total_price", "{t}.currency_code"),
            "lineItems": Connection("AbandonedCheckoutLineItem", "checkout_id"),
        },
        filters={
            "id": Filter("id", "{t}.id"),
            "updated_at": Filter("time", "{t}.updated_at"),
            "created_at": Filter("time", "{t}.created_at"),
            "recovery_state": Filter(
                "text", "case when {t}.completed_at is null then 'not_recovered' else 'recovered' end"
            ),
            "status": Filter("text", "case when {t}.completed_at is null then 'open' else 'closed' end"),
        },
        sort_keys={
            "ID": "{t}.id",
            "CHECKOUT_ID": "{t}.id",
            "CREATED_AT": "{t}.created_at",
            "TOTAL_PRICE": "{t}.total_price",
        },
    ),
    "AbandonedCheckoutLineItem": Entity(
        table="shopify_checkout_lines",
        fields={
            "id": gid("AbandonedCheckoutLineItem"),
            "sku": text("{t}.sku"),
            "title": text("{t}.title"),
            "quantity": plain("{t}.quantity"),
            "product": One("Product", "product_id"),
            "variant": One("ProductVariant", "variant_id"),
            "originalUnitPriceSet": money_bag("{t}.unit_price"),
            "discountedUnitPriceSet": money_bag("{t}.unit_price"),
        },
    ),
}

ROOT_CONNECTIONS = {
    "customers": "Customer",
    "orders": "Order",
    "products": "Product",
    "abandonedCheckouts": "AbandonedCheckout",
}
ROOT_LOOKUPS = {"customer": "Customer", "order": "Order", "product": "Product", "refund": "Refund"}
