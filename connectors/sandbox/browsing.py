"""Writes the visits as GA4 events with the export's real faults: doubled purchases, lost ids, changing value types."""

import duckdb

from connectors.sandbox.clock import LAST_DAY, SHOP_UTC_OFFSET_HOURS

_ITEM = """struct_pack(
    item_id := {item}.sku, item_name := {item}.title, item_brand := {item}.vendor, item_variant := NULL::VARCHAR,
    item_category := {item}.product_type, item_category2 := {item}.tags[1], price := {price}::DOUBLE,
    quantity := {quantity}::BIGINT, item_revenue := {revenue}, coupon := NULL::VARCHAR)"""

_MACROS = """
CREATE OR REPLACE MACRO text_param(name, content) AS struct_pack(key := name, value := struct_pack(
    string_value := content::VARCHAR, int_value := NULL::BIGINT, float_value := NULL::DOUBLE,
    double_value := NULL::DOUBLE));
-- the sender's tag was changed now and then: some days write whole numbers as text
CREATE OR REPLACE MACRO whole_param(name, content, as_text) AS struct_pack(key := name, value := struct_pack(
    string_value := CASE WHEN as_text THEN content::BIGINT::VARCHAR END,
    int_value := CASE WHEN NOT as_text THEN content::BIGINT END,
    float_value := NULL::DOUBLE, double_value := NULL::DOUBLE));
CREATE OR REPLACE MACRO money_param(name, content, as_text) AS struct_pack(key := name, value := struct_pack(
    string_value := CASE WHEN as_text THEN content::VARCHAR END, int_value := NULL::BIGINT, float_value := NULL::DOUBLE,
    double_value := CASE WHEN NOT as_text THEN content::DOUBLE END));
"""


def build_events(connection: duckdb.DuckDBPyConnection) -> None:
    """Fills `ga4_events`; needs `sessions`, `session_items`, `visit_links`, `orders` and the shop's tables."""
    connection.execute(_MACROS)
    _collect_items(connection)
    _lay_out_steps(connection)
    _repeat_some_purchases(connection)
    _write_events(connection)


def _collect_items(connection: duckdb.DuckDBPyConnection) -> None:
    """Item lists: what each visit showed, and every line of each counted order."""
    shown = _ITEM.format(item="p", price="i.price", quantity="i.quantity", revenue="NULL::DOUBLE")
    bought = _ITEM.format(
        item="p", price="l.discounted_unit_price", quantity="l.quantity",
        revenue="(l.quantity * l.discounted_unit_price)::DOUBLE",
    )  # fmt: skip
    connection.execute("""
        CREATE TABLE catalogue AS
        SELECT p.*, v.sku FROM shopify_products AS p JOIN shopify_variants AS v ON v.product_id = p.id
    """)
    connection.execute(f"""
        CREATE TABLE shown_items AS
        SELECT i.visit_key, list({shown} ORDER BY i.place) AS items,
            sum(i.price * i.quantity)::DECIMAL(12, 2) AS shown_value
        FROM session_items AS i JOIN catalogue AS p ON p.id = i.product_id GROUP BY i.visit_key
    """)
    connection.execute(f"""
        CREATE TABLE bought_items AS
        SELECT l.order_id, list({bought} ORDER BY l.id) AS items, sum(l.quantity)::BIGINT AS quantity, count(*) AS lines
        FROM shopify_order_lines AS l JOIN catalogue AS p ON p.id = l.product_id
        WHERE l.order_id IN (SELECT order_id FROM sessions WHERE kind = 'purchase') GROUP BY l.order_id
    """)


def _lay_out_steps(connection: duckdb.DuckDBPyConnection) -> None:
    """One row a visit and step, in the order in which they happen, spread over the visit's length."""
    connection.execute("""
        CREATE TABLE planned_steps AS
        WITH planned AS (
            SELECT s.visit_key, s.kind, len(i.items) AS shown,
                ['session_start', 'page_view']
                || list_transform(
                    range(1, 1 + least(len(i.items), 1 + floor(chance('detail', s.visit_key) ** 2 * 3)::BIGINT)),
                    lambda place: 'view_item ' || place
                )
                || CASE WHEN s.kind <> 'look' OR chance('into cart', s.visit_key) < 0.22
                    THEN ['add_to_cart'] ELSE [] END
                || CASE WHEN s.kind <> 'look' THEN ['begin_checkout'] ELSE [] END
                || CASE WHEN s.kind = 'purchase' THEN ['purchase'] ELSE [] END AS names
            FROM sessions AS s JOIN shown_items AS i USING (visit_key)
        )
        SELECT visit_key, unnest(names) AS step, generate_subscripts(names, 1) AS place, len(names) AS step_count,
            0 AS repeat
        FROM planned
    """)


def _repeat_some_purchases(connection: duckdb.DuckDBPyConnection) -> None:
    """The thank-you page opened again (1.2 %: a second purchase event) and rows the export wrote twice (0.3 %)."""
    connection.execute("""
        -- a table of its own: an INSERT that reads its target may, single-threaded, meet its own new rows
        CREATE TABLE steps AS
        FROM planned_steps
        UNION ALL
        SELECT visit_key, step, place + 1, step_count, 1 FROM planned_steps
        WHERE step = 'purchase' AND chance('opened again', visit_key) < 0.012
        UNION ALL
        SELECT visit_key, step, place, step_count, 0 FROM planned_steps
        WHERE chance('written twice ' || step, visit_key) < 0.003
    """)


def _write_events(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(f"""
        CREATE TABLE ga4_events AS
        WITH timed AS (
            SELECT t.*, s.* EXCLUDE (visit_key),
                split_part(t.step, ' ', 1) AS event_name,
                CASE
                    WHEN t.repeat = 1 THEN s.ended_at + seconds('again', t.visit_key, 20, 320)
                    WHEN t.step = 'purchase' THEN s.ended_at + seconds('thanks', t.visit_key, 1, 7)
                    ELSE s.started_at + (s.ended_at - s.started_at) * ((t.place - 1)::DOUBLE / t.step_count)
                END AS happened_at
            FROM steps AS t JOIN sessions AS s USING (visit_key)
        ),
        placed AS (
            SELECT *, strftime(happened_at + INTERVAL {SHOP_UTC_OFFSET_HOURS} HOUR, '%Y%m%d') AS event_date,
                dayofyear(happened_at + INTERVAL {SHOP_UTC_OFFSET_HOURS} HOUR) % 6 = 0 AS as_text,
                epoch(started_at)::BIGINT AS ga_session_id
            FROM timed
        )
        SELECT
            e.event_date,
            epoch_us(e.happened_at) + floor(chance(e.step || e.repeat, e.visit_key) * 900000)::BIGINT
                AS event_timestamp,
            e.event_name,
            {_parameters()} AS event_params,
            CASE WHEN e.signed_in = 'all'
                    OR (e.signed_in = 'checkout' AND e.event_name IN ('begin_checkout', 'purchase'))
                THEN e.customer_id::VARCHAR END AS user_id,
            e.pseudo_id AS user_pseudo_id,
            CASE WHEN e.pseudo_id IS NOT NULL THEN epoch_us(e.first_touch_at) END AS user_first_touch_timestamp,
            struct_pack(
                analytics_storage := CASE WHEN e.has_refused THEN 'No' ELSE 'Yes' END,
                ads_storage := CASE WHEN e.has_refused OR e.make < 0.2 THEN 'No' ELSE 'Yes' END,
                uses_transient_token := 'No'
            ) AS privacy_info,
            {_device()} AS device,
            struct_pack(
                country := CASE WHEN p.country_code = 'US' THEN 'United States' ELSE 'Japan' END,
                region := p.prefecture, city := p.city
            ) AS geo,
            {_first_touch()} AS traffic_source,
            CASE WHEN e.event_name IN ('session_start', 'page_view') AND v.campaign IS NOT NULL THEN struct_pack(
                manual_campaign_name := v.campaign, manual_source := v.source, manual_medium := v.medium,
                gclid := CASE WHEN v.medium = 'cpc' THEN 'Cj0K' || left(md5('gclid|' || e.visit_key), 24) END
            ) END AS collected_traffic_source,
            '5100200300' AS stream_id, 'WEB' AS platform,
            CASE WHEN e.event_name = 'purchase' THEN struct_pack(
                transaction_id := CASE WHEN chance('lost id', e.visit_key) < 0.006 THEN '(not set)'
                    WHEN chance('lost id', e.visit_key) < 0.008 THEN '' ELSE o.name END,
                purchase_revenue := o.total::DOUBLE, tax_value := 0::DOUBLE, shipping_value := 0::DOUBLE,
                total_item_quantity := b.quantity, unique_items := b.lines
            ) END AS ecommerce,
            CASE WHEN e.event_name = 'purchase' THEN b.items
                WHEN e.event_name = 'view_item' THEN [i.items[split_part(e.step, ' ', 2)::INTEGER]]
                WHEN e.event_name IN ('add_to_cart', 'begin_checkout') THEN i.items ELSE [] END AS items,
            epoch_ms(e.started_at) + e.place AS batch_page_id,
            e.place AS batch_ordering_id, 1 + e.repeat AS batch_event_index,
            e.event_date AS table_date,
            e.event_date = '{LAST_DAY}' AS is_intraday
        FROM placed AS e
        JOIN people AS p USING (person_id)
        JOIN shown_items AS i USING (visit_key)
        LEFT JOIN visit_links AS v USING (visit_key)
        LEFT JOIN orders AS o ON o.id = e.order_id AND e.event_name = 'purchase'
        LEFT JOIN bought_items AS b ON b.order_id = e.order_id AND e.event_name = 'purchase'
    """)


def _parameters() -> str:
    return """
        CASE WHEN e.pseudo_id IS NULL THEN [] ELSE [
            whole_param('ga_session_id', e.ga_session_id, e.as_text),
            whole_param('ga_session_number', e.session_number, e.as_text)
        ] END
        || [text_param('page_location', 'https://shop.example.jp/' || CASE
            WHEN e.event_name = 'view_item' THEN 'products/' || i.items[split_part(e.step, ' ', 2)::INTEGER].item_id
            WHEN e.event_name = 'add_to_cart' THEN 'cart' WHEN e.event_name = 'begin_checkout' THEN 'checkouts'
            WHEN e.event_name = 'purchase' THEN 'thank_you' ELSE '' END)]
        || CASE WHEN e.event_name = 'session_start' THEN []
            ELSE [whole_param(
                    'engagement_time_msec', 400 + floor(chance('time' || e.step, e.visit_key) * 60000), e.as_text),
                text_param('session_engaged', '1')] END
        || CASE WHEN e.event_name IN ('session_start', 'page_view') AND v.campaign IS NOT NULL
            THEN [text_param('campaign', v.campaign)] ELSE [] END
        || CASE WHEN e.event_name = 'purchase'
            THEN [text_param('currency', 'USD'), text_param('transaction_id', o.name),
                money_param('value', o.total, e.as_text)]
            WHEN e.event_name IN ('add_to_cart', 'begin_checkout')
            THEN [text_param('currency', 'USD'), money_param('value', i.shown_value, e.as_text)] ELSE [] END"""


def _device() -> str:
    return """struct_pack(
        category := coalesce(e.category, 'mobile'),
        mobile_brand_name := CASE WHEN coalesce(e.category, 'mobile') = 'desktop' THEN NULL
            WHEN e.make < 0.66 THEN 'Apple' WHEN e.make < 0.8 THEN 'Sony' WHEN e.make < 0.9 THEN 'Sharp'
            ELSE 'Google' END,
        operating_system := CASE WHEN coalesce(e.category, 'mobile') = 'desktop'
                THEN CASE WHEN e.make < 0.7 THEN 'Windows' ELSE 'Macintosh' END
            WHEN e.make < 0.66 THEN 'iOS' ELSE 'Android' END,
        language := CASE WHEN p.script = 'japanese' THEN 'ja-jp' ELSE 'en-us' END,
        web_info := struct_pack(
            browser := CASE WHEN coalesce(e.category, 'mobile') <> 'desktop' AND e.make < 0.66 THEN 'Safari'
                WHEN e.make < 0.95 THEN 'Chrome' ELSE 'Edge' END,
            hostname := 'shop.example.jp'))"""


def _first_touch() -> str:
    """How the person first came to the site, the same on all their rows."""
    return """CASE WHEN e.pseudo_id IS NULL THEN NULL
        WHEN e.make < 0.35 THEN struct_pack(name := '(organic)', medium := 'organic', source := 'google')
        WHEN e.make < 0.5 THEN struct_pack(name := '(organic)', medium := 'organic', source := 'yahoo')
        WHEN e.make < 0.62 THEN struct_pack(name := 'brand_search', medium := 'cpc', source := 'google')
        WHEN e.make < 0.7 THEN struct_pack(name := 'opening_fair', medium := 'paid_social', source := 'instagram')
        ELSE struct_pack(name := '(direct)', medium := '(none)', source := '(direct)') END"""
