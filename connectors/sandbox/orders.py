"""Turns the real baskets into the shop's orders, lines and refunds, set-based in DuckDB."""

import duckdb

from connectors.sandbox.clock import WORLD_NOW


def build_orders(connection: duckdb.DuckDBPyConnection, package_data: str) -> None:
    """Orders with their lines and refunds; needs `purchases`, `shoppers` and `accounts`.

    `shoppers`: person_id, household_id, share, buys_from, guest_rate and the e-mails a guest order may carry.
    """
    _choose_baskets(connection)
    _choose_customers(connection)
    _write_lines(connection)
    _choose_refunds(connection)
    _write_orders(connection, package_data)


def _choose_baskets(connection: duckdb.DuckDBPyConnection) -> None:
    """Every real basket, and beside them a few that were cancelled or only placed to test the shop."""
    connection.execute(f"""
        CREATE TABLE baskets AS
        WITH real_baskets AS (
            SELECT basket_id, household_id, min(created_at) AS created_at, min(local_time) AS local_time,
                bool_or(has_coupon) AS has_coupon, count(*) AS line_count, sum(received) AS received
            FROM purchases GROUP BY basket_id, household_id
        ),
        copied AS (
            SELECT *, row_number() OVER (ORDER BY chance('copied basket', basket_id), basket_id) AS place,
                (SELECT greatest(6, count(*) * 3 // 1000) FROM real_baskets) AS cancelled_count,
                (SELECT greatest(4, count(*) // 2500) FROM real_baskets) AS test_count
            FROM real_baskets WHERE line_count <= 12 AND received > 0
                AND created_at < TIMESTAMP '{WORLD_NOW}' - INTERVAL 5 DAY
        ),
        everything AS (
            SELECT 'real' AS kind, basket_id, household_id, created_at, local_time, has_coupon FROM real_baskets
            UNION ALL
            SELECT
                CASE WHEN place <= cancelled_count THEN 'cancelled' ELSE 'test' END, basket_id, household_id,
                created_at + seconds('copied at', basket_id, 600, 250000), local_time, has_coupon
            FROM copied WHERE place <= cancelled_count + test_count
        )
        SELECT *, kind || basket_id AS basket_key,
            row_number() OVER (ORDER BY created_at, basket_id, kind) AS order_number
        FROM everything
    """)


def _choose_customers(connection: duckdb.DuckDBPyConnection) -> None:
    """Who of the household bought the basket, and signed in to which account or as a guest under which e-mail."""
    connection.execute("""
        CREATE TABLE basket_customers AS
        WITH bought_by AS (
            SELECT b.order_number, b.basket_key, b.created_at,
                coalesce(family.person_id, buyer.person_id) AS person_id,
                coalesce(family.guest_rate, buyer.guest_rate) AS guest_rate
            FROM baskets AS b
            JOIN shoppers AS buyer ON buyer.household_id = b.household_id AND buyer.role = 'buyer'
            LEFT JOIN shoppers AS family ON family.household_id = b.household_id AND family.role = 'family'
                AND b.created_at >= family.buys_from AND chance('family buys', b.basket_key) < family.share
        )
        SELECT o.order_number, o.person_id,
            CASE
                WHEN first.id IS NULL OR chance('guest', o.basket_key) < o.guest_rate THEN NULL
                WHEN second.created_at <= o.created_at AND chance('second account', o.basket_key) < 0.6 THEN second.id
                ELSE first.id
            END AS customer_id
        FROM bought_by AS o
        LEFT JOIN accounts AS first ON first.person_id = o.person_id AND NOT first.is_second
        LEFT JOIN accounts AS second ON second.person_id = o.person_id AND second.is_second
    """)


def _write_lines(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("""
        CREATE TABLE lines AS
        SELECT
            20000000000000 + b.order_number * 1000
                + row_number() OVER (PARTITION BY b.order_number ORDER BY p.product_id) AS id,
            b.order_number, p.product_id, p.pieces, p.quantity,
            (p.received / p.quantity)::DECIMAL(12, 2) AS discounted_unit_price,
            (p.before_discount / p.quantity)::DECIMAL(12, 2) AS original_unit_price
        FROM purchases AS p JOIN baskets AS b USING (basket_id)
    """)
    connection.execute("""
        CREATE TABLE order_totals AS
        SELECT order_number, sum(quantity * discounted_unit_price)::DECIMAL(12, 2) AS total,
            sum(quantity * (original_unit_price - discounted_unit_price))::DECIMAL(12, 2) AS discount
        FROM lines GROUP BY order_number
    """)


def _choose_refunds(connection: duckdb.DuckDBPyConnection) -> None:
    """About 1.6 % of the orders: two fifths given back whole, of the rest one line or part of it; and cancellations."""
    connection.execute(f"""
        CREATE TABLE refunded_orders AS
        SELECT b.order_number, b.created_at,
            b.kind = 'cancelled' OR chance('whole refund', b.basket_key) < 0.4 AS is_whole,
            b.created_at + CASE WHEN b.kind = 'cancelled' THEN seconds('cancelled after', b.basket_key, 300, 86700)
                ELSE seconds('refunded after', b.basket_key, 40000, 1940000) END AS refunded_at
        FROM baskets AS b JOIN order_totals AS t USING (order_number)
        WHERE t.total > 0 AND (
            (b.kind = 'cancelled' AND chance('cancelled unpaid', b.basket_key) < 0.7)
            OR (b.kind = 'real' AND chance('refund', b.basket_key) < 0.017
                AND b.created_at < TIMESTAMP '{WORLD_NOW}' - INTERVAL 23 DAY)
        )
    """)
    connection.execute("""
        CREATE TABLE refunded_lines AS
        WITH candidates AS (
            SELECT l.id, l.order_number, l.quantity, l.discounted_unit_price, r.is_whole,
                row_number() OVER (
                    PARTITION BY l.order_number
                    ORDER BY l.discounted_unit_price > 0 DESC, chance('refunded line', l.id), l.id
                ) AS place
            FROM lines AS l JOIN refunded_orders AS r USING (order_number)
        )
        SELECT id, order_number, discounted_unit_price,
            CASE WHEN is_whole THEN quantity
                ELSE 1 + floor(chance('refunded quantity', id) * quantity)::BIGINT END AS quantity
        FROM candidates WHERE is_whole OR place = 1
    """)
    connection.execute("""
        CREATE TABLE shopify_refunds AS
        SELECT 900000000000 + r.order_number AS id, 6000000000000 + r.order_number AS order_id,
            r.refunded_at AS created_at, r.refunded_at AS updated_at,
            sum(l.quantity * l.discounted_unit_price)::DECIMAL(12, 2) AS amount
        FROM refunded_orders AS r JOIN refunded_lines AS l USING (order_number)
        GROUP BY r.order_number, r.refunded_at
    """)
    connection.execute("""
        CREATE TABLE shopify_order_lines AS
        SELECT l.id, 6000000000000 + l.order_number AS order_id, 8000000000000 + l.product_id AS product_id,
            44000000000000 + l.product_id AS variant_id, l.product_id::VARCHAR AS sku,
            p.title || CASE WHEN l.pieces = l.quantity THEN '' WHEN l.pieces = 0 THEN ' (adjustment)'
                ELSE ' (pack of ' || l.pieces || ')' END AS title,
            l.quantity, l.quantity - coalesce(r.quantity, 0) AS current_quantity,
            l.original_unit_price, l.discounted_unit_price
        FROM lines AS l
        JOIN shopify_products AS p ON p.id = 8000000000000 + l.product_id
        LEFT JOIN refunded_lines AS r ON r.id = l.id
    """)


def _write_orders(connection: duckdb.DuckDBPyConnection, package_data: str) -> None:
    connection.execute(f"""
        CREATE TABLE redeemed AS
        SELECT household_id, redemption_date::DATE AS redeemed_on,
            list_sort(list(DISTINCT 'CAMPAIGN-' || campaign_id)) AS codes
        FROM '{package_data}/coupon_redemptions.parquet' GROUP BY ALL
    """)
    connection.execute(f"""
        CREATE TABLE orders AS
        SELECT
            6000000000000 + b.order_number AS id, '#' || (1000 + b.order_number) AS name, c.customer_id, c.person_id,
            b.kind, b.basket_key,
            CASE
                WHEN c.customer_id IS NOT NULL THEN a.email
                WHEN chance('guest typo', b.basket_key) < 0.01 THEN s.mistyped_email
                WHEN chance('guest office', b.basket_key) < 0.2 AND s.office_email IS NOT NULL THEN s.office_email
                WHEN chance('guest second', b.basket_key) < 0.15 AND s.known_second_email IS NOT NULL
                    THEN s.known_second_email
                WHEN chance('guest capitals', b.basket_key) < 0.08 THEN upper(s.email)
                ELSE s.email
            END AS email,
            CASE WHEN chance('order phone', b.basket_key) < 0.25 THEN s.phone END AS phone,
            b.created_at,
            least(
                greatest(
                    b.created_at + seconds('fulfilled after', b.basket_key, 60, 170000),
                    r.refunded_at + INTERVAL 5 SECOND
                ),
                TIMESTAMP '{WORLD_NOW}' - INTERVAL 60 SECOND
            ) AS updated_at,
            b.created_at + INTERVAL 2 SECOND AS processed_at,
            CASE WHEN b.kind = 'cancelled' THEN coalesce(r.refunded_at, b.created_at + INTERVAL 40 MINUTE) END
                AS cancelled_at,
            CASE WHEN b.kind = 'cancelled' THEN
                ['CUSTOMER', 'CUSTOMER', 'INVENTORY', 'DECLINED', 'FRAUD', 'STAFF', 'OTHER']
                    [1 + floor(chance('cancel reason', b.basket_key) * 7)::INTEGER]
            END AS cancel_reason,
            b.kind = 'test' AS test,
            t.total, t.discount, coalesce(f.amount, 0)::DECIMAL(12, 2) AS refunded,
            CASE WHEN b.kind = 'cancelled' AND f.id IS NULL THEN 'VOIDED' WHEN f.id IS NULL THEN 'PAID'
                WHEN f.amount = t.total THEN 'REFUNDED' ELSE 'PARTIALLY_REFUNDED' END AS financial_status,
            CASE WHEN b.kind <> 'real' OR b.created_at > TIMESTAMP '{WORLD_NOW}' - INTERVAL 1 DAY THEN 'UNFULFILLED'
                ELSE 'FULFILLED' END AS fulfillment_status,
            CASE WHEN chance('channel', b.basket_key) < 0.46 THEN 'web'
                WHEN chance('channel', b.basket_key) < 0.96 THEN 'pos' ELSE 'shopify_draft_order' END AS source_name,
            CASE WHEN b.has_coupon THEN coalesce(x.codes, ['COUPON']) ELSE []::VARCHAR[] END AS discount_codes,
            coalesce(
                a.email_marketing_state = 'SUBSCRIBED' AND a.email_marketing_updated_at <= b.created_at, false
            ) AS accepts_marketing
        FROM baskets AS b
        JOIN basket_customers AS c USING (order_number)
        JOIN order_totals AS t USING (order_number)
        JOIN shoppers AS s USING (person_id)
        LEFT JOIN accounts AS a ON a.id = c.customer_id
        LEFT JOIN refunded_orders AS r USING (order_number)
        LEFT JOIN shopify_refunds AS f ON f.order_id = 6000000000000 + b.order_number
        LEFT JOIN redeemed AS x ON x.household_id = b.household_id AND x.redeemed_on = b.local_time::DATE
    """)
    connection.execute("""
        CREATE TABLE shopify_orders AS
        SELECT id, name, customer_id, email, phone, created_at, greatest(updated_at, created_at) AS updated_at,
            processed_at, cancelled_at, cancel_reason, test, 'USD' AS currency_code, total AS subtotal,
            discount AS total_discounts, 0 AS total_tax, 0 AS total_shipping, total AS total_price,
            refunded AS total_refunded, financial_status, fulfillment_status, source_name, discount_codes,
            accepts_marketing AS customer_accepts_marketing
        FROM orders
    """)
