"""A shop of any size written straight into the raw lake, in each source's own shape; every value is a hash of its row.

`write_shop` writes the first year, `write_day` one more day of it: new and changed orders, customers and contacts of a
hundredth of the customers, and the day's events. The same seed and size give the same rows.

Its habits are those of shops: customers have categories of their own (25 lines stand in 17 of 200; the first 25 of a
household of dunnhumby's Complete Journey in 17.4 of 303), two visits in five end with one of the day's orders, and an
order changes within the 60 days that shops give for returns.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from connectors.lake import Lake
from connectors.landing import declare
from connectors.sources import SOURCES
from connectors.stream import LANDING_COLUMNS

START = datetime(2025, 10, 19)
DAYS = 365
NOW = START + timedelta(days=DAYS)
ORDERS_A_CUSTOMER = 10
EVENTS_A_CUSTOMER = 50
EVENTS_A_SESSION = 5
BUYING_VISITS = 0.4
RETURN_DAYS = 60
PRODUCTS = 20_000
CATEGORIES = 200
ROWS_AT_ONCE = 1_000_000
CHANGED_SHARE = 0.01

Told = Callable[[str, int], None]
"""Takes a stream's name and how many rows of it are written so far."""

MACROS = f"""
CREATE OR REPLACE MACRO chance(salt, i) AS (hash(salt, i) % 1000003) / 1000003.0;
CREATE OR REPLACE MACRO pick(salt, i, n) AS (hash(salt, i) % n::UBIGINT)::BIGINT;
CREATE OR REPLACE MACRO gid(kind, i) AS 'gid://shopify/' || kind || '/' || i;
CREATE OR REPLACE MACRO usd(value) AS struct_pack(amount := value::DECIMAL(18, 4), currencyCode := 'USD');
CREATE OR REPLACE MACRO shop_money(value) AS struct_pack(shopMoney := usd(value));
CREATE OR REPLACE MACRO email_of(c) AS 'person' || c || '@example' || (c % 40) || '.jp';
CREATE OR REPLACE MACRO phone_of(c) AS '+8190' || lpad((c % 100000000)::VARCHAR, 8, '0');
CREATE OR REPLACE MACRO family_of(c) AS
    ['佐藤', '鈴木', '高橋', '田中', '伊藤', '渡辺', '山本', '中村', '小林', '加藤'][1 + pick('family', c, 10)];
CREATE OR REPLACE MACRO given_of(c) AS
    ['太郎', '花子', '健', '美咲', '翔', '葵', '大輔', '陽菜', '直樹', '結衣'][1 + pick('given', c, 10)] || (c % 997);
CREATE OR REPLACE MACRO price_of(p) AS (100 + pick('price', p, 9900)) / 100.0;
CREATE OR REPLACE MACRO second_of(o) AS 100 + pick('at', o, 86000);
CREATE OR REPLACE MACRO product_of(c, salt, i) AS
    pick('taste', c * {CATEGORIES} + ({CATEGORIES} * chance(salt, i) ** 4)::BIGINT, {CATEGORIES})
    + {CATEGORIES} * pick(salt || ' one', i, {PRODUCTS // CATEGORIES});
CREATE OR REPLACE MACRO bought_by(o, c) AS list_transform(range(0, 1 + pick('lines', o, 4)), lambda n: struct_pack(
    number := n, product := product_of(c, 'product', o * 8 + n), quantity := 1 + pick('quantity', o * 8 + n, 3)));
CREATE OR REPLACE MACRO total_of(bought) AS
    list_sum(list_transform(bought, lambda b: b.quantity * price_of(b.product)));
"""


@dataclass(frozen=True)
class Size:
    """How much of everything a year holds, all of it from the number of customers."""

    customers: int

    @property
    def orders(self) -> int:
        return self.customers * ORDERS_A_CUSTOMER

    @property
    def events(self) -> int:
        return self.customers * EVENTS_A_CUSTOMER


@dataclass(frozen=True)
class Day:
    """A day's orders and visits, both numbered without a gap, and the customers among whom they fall."""

    at: datetime
    orders: range
    visits: range
    customers: int

    @classmethod
    def of_year(cls, size: Size, number: int) -> "Day":
        orders, visits = (
            range(total * number // DAYS, total * (number + 1) // DAYS)
            for total in (size.orders, size.events // EVENTS_A_SESSION)
        )
        return cls(START + timedelta(days=number), orders, visits, size.customers)


def write_shop(lake: Lake, size: Size, tell: Told) -> None:
    """The year that ends at `NOW`, for every stream of the sources it fills; the others are empty."""
    for source in SOURCES:
        declare(source.name, source.streams, lake)
    with lake.connect() as connection:
        writer = Writer(connection, lake, tell)
        writer.copy("shopify/products", products(), PRODUCTS)
        for low, high in parts(size.customers):
            writer.copy("shopify/customers", customers(f"range({low}, {high})", START), high)
            writer.copy("hubspot/contacts", contacts(f"range({low}, {high})", START), high)
            writer.copy("mailchimp/members", members(f"range({low}, {high})", START), high)
        for low, high in parts(size.orders):
            writer.copy("shopify/orders", orders(f"range({low}, {high})", day_of_year(size), size.customers), high)
        for low, high in parts(size.customers):
            writer.copy("shopify/abandoned_checkouts", checkouts(f"range({low}, {high})", START, DAYS), high)
        for number in range(DAYS):
            writer.copy_events(Day.of_year(size, number))


def write_day(lake: Lake, size: Size, tell: Told, day: int = 0) -> None:
    """The `day`-th day after the year: a hundredth of customers and orders, new and changed, and one day's events."""
    changed = fresh = int(size.customers * CHANGED_SHARE / 2)
    at = NOW + timedelta(days=day)
    some = f"(SELECT pick('changed {day}', i, {size.customers}) FROM range(0, {changed}) AS t (i) GROUP BY 1)"
    with lake.connect() as connection:
        writer = Writer(connection, lake, tell, landed_at=at + timedelta(hours=26))
        first = size.customers + day * fresh
        for rows in (some, f"range({first}, {first + fresh})"):
            writer.copy("shopify/customers", customers(rows, at), changed)
            writer.copy("hubspot/contacts", contacts(rows, at), changed)
        a_day, visits = int(size.orders * CHANGED_SHARE / 2), size.events // EVENTS_A_SESSION
        orders_before, visits_before = size.orders + day * a_day, visits + day * (visits // 100)
        today = Day(
            at,
            range(orders_before, orders_before + a_day),
            range(visits_before, visits_before + visits // 100),
            first + fresh,
        )
        rows = f"range({today.orders.start}, {today.orders.stop})"
        writer.copy("shopify/orders", orders(rows, f"TIMESTAMP '{at}'", today.customers), a_day)
        recent = Day.of_year(size, DAYS - RETURN_DAYS).orders.start
        again = f"pick('again {day}', i, {size.orders - recent})"
        rows = f"(SELECT {recent} + {again} FROM range(0, {a_day}) AS t (i) GROUP BY 1)"
        writer.copy("shopify/orders", orders(rows, day_of_year(size), size.customers, changed_at=at), a_day)
        writer.copy_events(today)


def parts(total: int) -> Iterator[tuple[int, int]]:
    for low in range(0, total, ROWS_AT_ONCE):
        yield low, min(low + ROWS_AT_ONCE, total)


class Writer:
    """Commits queries as raw files, with every declared column in place and the columns that landing adds."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, lake: Lake, tell: Told, landed_at: datetime = NOW
    ) -> None:
        self.connection, self.lake, self.tell, self.landed_at = connection, lake, tell, landed_at
        connection.execute(MACROS)
        self.types: Mapping[str, Mapping[str, str]] = {
            f"{source.name}/{stream.name}": dict(stream.types) | dict(LANDING_COLUMNS)
            for source in SOURCES
            for stream in source.streams
        }

    def copy(self, stream: str, query: str, done: int, name: str | None = None) -> None:
        """Commit the rows of `query`; columns it does not name are null."""
        given = self.connection.sql(query).columns
        types = self.types[stream]
        landing = {
            "_extra": "NULL",
            "_landed_at": f"TIMESTAMP '{self.landed_at}'",
            "_is_deleted": "false",
            "_row_hash": "md5(CAST(row AS VARCHAR))",
        }
        chosen = ", ".join(
            f"CAST({f'row.{column}' if column in given else landing.get(column, 'NULL')} AS {type_}) AS {column}"
            for column, type_ in types.items()
        )
        with self.lake.commit(f"raw/{stream}", name) as path:
            self.connection.execute(f"COPY (SELECT {chosen} FROM ({query}) AS row) TO '{path}' (FORMAT parquet)")
        self.tell(stream, done)

    def copy_events(self, day: Day) -> None:
        self.copy("ga4/events", events(day), day.visits.stop * EVENTS_A_SESSION, f"{day.at:%Y%m%d}")


def products() -> str:
    return f"""
        SELECT gid('Product', i) AS id, 'Product ' || i AS title, 'Manufacturer ' || (i % 300) AS vendor,
            'Category ' || (i % {CATEGORIES}) AS productType, 'product-' || i AS handle, 'ACTIVE' AS status,
            ['GROCERY', CASE WHEN i % 4 = 0 THEN 'Private' ELSE 'National' END] AS tags,
            TIMESTAMP '{START}' AS createdAt, TIMESTAMP '{START}' AS updatedAt,
            [struct_pack(id := gid('ProductVariant', i), sku := i::VARCHAR, title := 'Default',
                price := price_of(i)::DECIMAL(18, 4))] AS variants
        FROM range(0, {PRODUCTS}) AS t (i)"""


def customers(rows: str, at: datetime) -> str:
    return f"""
        SELECT gid('Customer', c) AS id, c::VARCHAR AS legacyResourceId, TIMESTAMP '{START}' AS createdAt,
            TIMESTAMP '{at}' + to_seconds(pick('touched', c, 80000)) AS updatedAt,
            given_of(c) AS firstName, family_of(c) AS lastName, 'ja' AS locale, 'ENABLED' AS state,
            []::VARCHAR[] AS tags, true AS verifiedEmail,
            struct_pack(emailAddress := email_of(c),
                marketingState := CASE WHEN chance('mail', c) < 0.6 THEN 'SUBSCRIBED' ELSE 'UNSUBSCRIBED' END,
                marketingOptInLevel := 'SINGLE_OPT_IN', marketingUpdatedAt := TIMESTAMP '{START}',
                validFormat := true) AS defaultEmailAddress,
            struct_pack(phoneNumber := phone_of(c), smsMarketingConsent := NULL) AS defaultPhoneNumber,
            struct_pack(address1 := '中央' || (c % 9 + 1) || '丁目' || (c % 30 + 1) || '-' || (c % 20 + 1),
                address2 := NULL, city := '港区', provinceCode := 'JP-13', countryCodeV2 := 'JP',
                zip := lpad((1000000 + c % 80000)::VARCHAR, 7, '0'), phone := NULL) AS defaultAddress
        FROM {rows} AS t (c)"""


def contacts(rows: str, at: datetime) -> str:
    """A third of the customers stand in the CRM too; one in ten of those under another address."""
    return f"""
        SELECT c::VARCHAR AS id, TIMESTAMP '{START}' AS createdAt, TIMESTAMP '{at}' AS updatedAt, false AS archived,
            struct_pack(
                email := CASE WHEN chance('other', c) < 0.1 THEN 'other' ELSE '' END || email_of(c),
                firstname := given_of(c), lastname := family_of(c), phone := phone_of(c), mobilephone := NULL,
                address := NULL, city := '港区', state := '東京都', zip := NULL, country := 'Japan',
                date_of_birth := strftime(DATE '1950-01-01' + pick('born', c, 20000)::INTEGER, '%Y-%m-%d'),
                lifecyclestage := 'customer', company := NULL, shopify_customer_id := NULL, hs_email_optout := NULL,
                hs_merged_object_ids := NULL, lastmodifieddate := NULL) AS properties
        FROM {rows} AS t (c) WHERE chance('contact', c) < 0.33"""


def members(rows: str, at: datetime) -> str:
    return f"""
        SELECT md5(email_of(c)) AS id, 'list' AS list_id, email_of(c) AS email_address,
            md5('u' || c) AS unique_email_id,
            CASE WHEN chance('left', c) < 0.1 THEN 'unsubscribed' ELSE 'subscribed' END AS status,
            TIMESTAMP '{at}' AS timestamp_signup, TIMESTAMP '{at}' AS timestamp_opt, TIMESTAMP '{at}' AS last_changed
        FROM {rows} AS t (c) WHERE chance('member', c) < 0.5"""


def day_of_year(size: Size) -> str:
    """The day of order `o` of the year: as many on each."""
    return f"TIMESTAMP '{START}' + to_days((((o + 1) * {DAYS} - 1) // {size.orders})::INTEGER)"


def orders(rows: str, day: str, buyers: int, changed_at: datetime | None = None) -> str:
    """One to four lines each; a twentieth are guests, a fiftieth refunded, a hundredth cancelled."""
    updated = f"TIMESTAMP '{changed_at}'" if changed_at else "placed_at"
    return f"""
        WITH placed AS (
            SELECT o, pick('buyer', o, {buyers}) AS c, {day} + to_seconds(second_of(o)) AS placed_at,
                chance('guest', o) < 0.05 AS is_guest, chance('refund', o) < 0.02 AS is_refunded
            FROM {rows} AS t (o)
        ),
        summed AS (
            SELECT *, bought_by(o, c) AS bought, total_of(bought) AS total FROM placed
        )
        SELECT gid('Order', o) AS id, '#' || o AS name, placed_at AS createdAt, {updated} AS updatedAt,
            placed_at AS processedAt, CASE WHEN chance('cancel', o) < 0.01 THEN {updated} END AS cancelledAt,
            false AS test, email_of(c) AS email,
            'PAID' AS displayFinancialStatus, 'FULFILLED' AS displayFulfillmentStatus,
            'USD' AS currencyCode, 'USD' AS presentmentCurrencyCode, 'web' AS sourceName,
            CASE WHEN chance('coupon', o) < 0.15 THEN ['SAVE10'] ELSE [] END AS discountCodes,
            CASE WHEN NOT is_guest THEN struct_pack(id := gid('Customer', c)) END AS customer,
            shop_money(total) AS totalPriceSet, shop_money(total) AS subtotalPriceSet,
            shop_money(CASE WHEN chance('coupon', o) < 0.15 THEN total / 10 ELSE 0 END) AS totalDiscountsSet,
            shop_money(0) AS totalTaxSet, shop_money(0) AS totalShippingPriceSet,
            shop_money(CASE WHEN is_refunded THEN total / 2 ELSE 0 END) AS totalRefundedSet,
            list_transform(bought, lambda b: struct_pack(
                id := gid('LineItem', o * 8 + b.number), sku := b.product::VARCHAR, title := 'Product ' || b.product,
                quantity := b.quantity, currentQuantity := b.quantity,
                product := struct_pack(id := gid('Product', b.product)),
                variant := struct_pack(id := gid('ProductVariant', b.product)),
                originalUnitPriceSet := shop_money(price_of(b.product)),
                discountedUnitPriceSet := shop_money(price_of(b.product)))) AS lineItems,
            CASE WHEN is_refunded THEN [struct_pack(id := gid('Refund', o), createdAt := placed_at + INTERVAL 3 DAY,
                totalRefundedSet := shop_money(total / 2))] ELSE [] END AS refunds
        FROM summed"""


def checkouts(rows: str, at: datetime, days: int) -> str:
    return f"""
        SELECT gid('AbandonedCheckout', c) AS id, '#C' || c AS name,
            TIMESTAMP '{at}' + to_seconds(pick('left at', c, {days * 86_400})) AS createdAt, createdAt AS updatedAt,
            struct_pack(id := gid('Customer', c)) AS customer, []::VARCHAR[] AS discountCodes,
            shop_money(price_of(p)) AS totalPriceSet,
            [struct_pack(id := gid('AbandonedCheckoutLineItem', c), sku := p::VARCHAR,
                title := 'Product ' || p, quantity := 1,
                product := struct_pack(id := gid('Product', p)),
                variant := struct_pack(id := gid('ProductVariant', p)))] AS lineItems
        FROM (SELECT c, product_of(c, 'left', c) AS p FROM {rows} AS t (c) WHERE chance('leaves', c) < 0.2)"""


def events(day: Day) -> str:
    """Visits of five events: start, page, product, for some a cart; the first of a day buy its first orders."""
    buying = min(int(len(day.visits) * BUYING_VISITS), len(day.orders))
    return f"""
        WITH visits AS (
            SELECT s, s < {day.visits.start + buying} AS buys,
                CASE WHEN buys THEN s - {day.visits.start} + {day.orders.start} END AS o,
                CASE WHEN buys THEN pick('buyer', o, {day.customers}) ELSE pick('visitor', s, {day.customers}) END AS c,
                CASE WHEN buys THEN second_of(o) - 80 ELSE pick('hour', s, 86000) END AS second,
                CASE WHEN buys THEN bought_by(o, c)[1].product ELSE product_of(c, 'shown', s) END AS p,
                total_of(bought_by(o, c)) AS total
            FROM range({day.visits.start}, {day.visits.stop}) AS t (s)
        ),
        visited AS (
            SELECT *, s * {EVENTS_A_SESSION} + step AS e,
                epoch_us(TIMESTAMP '{day.at}') + (second + step * 20) * 1000000 AS at_us,
                CASE step WHEN 0 THEN 'session_start' WHEN 1 THEN 'page_view' WHEN 2 THEN 'view_item'
                    WHEN 3 THEN CASE WHEN buys OR chance('cart', s) < 0.3 THEN 'add_to_cart' ELSE 'view_item' END
                    ELSE CASE WHEN buys THEN 'purchase' ELSE 'page_view' END END AS event_name
            FROM visits CROSS JOIN range(0, {EVENTS_A_SESSION}) AS steps (step)
        )
        SELECT '{day.at:%Y%m%d}' AS _table, '{day.at:%Y%m%d}' AS event_date, at_us AS event_timestamp, event_name,
            [struct_pack(key := 'ga_session_id', value := struct_pack(string_value := NULL, int_value := s,
                float_value := NULL, double_value := NULL)),
             struct_pack(key := 'page_location', value := struct_pack(
                string_value := 'https://shop.example/products/' || p, int_value := NULL, float_value := NULL,
                double_value := NULL))] AS event_params,
            CASE WHEN chance('signed in', c) < 0.8 THEN c::VARCHAR END AS user_id, 'b.' || c AS user_pseudo_id,
            struct_pack(analytics_storage := 'Yes', ads_storage := 'Yes', uses_transient_token := 'No') AS privacy_info,
            struct_pack(category := CASE WHEN c % 3 = 0 THEN 'desktop' ELSE 'mobile' END, mobile_brand_name := NULL,
                operating_system := NULL, language := 'ja', web_info := NULL) AS device,
            struct_pack(country := 'Japan', region := 'Tokyo', city := 'Minato') AS geo,
            struct_pack(manual_campaign_name := NULL,
                manual_source := CASE WHEN step = 0
                    THEN ['google', 'mailchimp', '(direct)'][1 + pick('from', s, 3)] END,
                manual_medium := CASE WHEN step = 0
                    THEN ['organic', 'email', '(none)'][1 + pick('from', s, 3)] END,
                gclid := NULL) AS collected_traffic_source,
            CASE WHEN event_name = 'purchase' THEN struct_pack(
                transaction_id := '#' || o, purchase_revenue := total::DOUBLE,
                tax_value := 0.0, shipping_value := 0.0, total_item_quantity := 1, unique_items := 1) END AS ecommerce,
            CASE WHEN event_name IN ('view_item', 'add_to_cart', 'purchase') THEN [struct_pack(
                item_id := p::VARCHAR, item_name := 'Product ' || p, item_brand := NULL, item_variant := NULL,
                item_category := 'Category ' || (p % {CATEGORIES}), item_category2 := NULL,
                price := price_of(p)::DOUBLE, quantity := 1, item_revenue := NULL,
                coupon := NULL)] ELSE [] END AS items, e AS batch_event_index
        FROM visited"""
