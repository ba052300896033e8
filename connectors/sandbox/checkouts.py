"""Checkouts that were begun: some became an order, most were left, and their goods fit what the person buys."""

import duckdb

from connectors.sandbox.clock import WORLD_NOW


def build_checkouts(connection: duckdb.DuckDBPyConnection) -> None:
    """Checkouts around the orders of the same person; needs `orders` and `shopify_order_lines`.

    A quarter completes as its order. Of the rest, some were left shortly before the order (so the person came back)
    and some days after it. The last three weeks hold more of them, as a shop keeps no endless history.
    """
    connection.execute(f"""
        CREATE TABLE checkouts AS
        WITH begun AS (
            SELECT o.*, chance('checkout ends', basket_key) AS ending
            FROM orders AS o
            WHERE kind = 'real' AND total > 0
                AND chance('checkout', basket_key)
                    < CASE WHEN created_at > TIMESTAMP '{WORLD_NOW}' - INTERVAL 21 DAY THEN 0.11 ELSE 0.032 END
        ),
        timed AS (
            SELECT id AS order_id, person_id, customer_id, email, basket_key, total, source_name, discount_codes,
                CASE WHEN ending < 0.27 AND source_name = 'web' THEN 'completed'
                    WHEN ending < 0.55 THEN 'left before' ELSE 'left after' END AS ending,
                created_at + CASE
                    WHEN ending < 0.27 AND source_name = 'web' THEN -seconds('checkout', basket_key, 120, 840)
                    WHEN ending < 0.55 THEN -seconds('checkout', basket_key, 3600, 260000)
                    ELSE seconds('checkout', basket_key, 21600, 860000) END AS created_at,
                created_at AS ordered_at
            FROM begun
        )
        SELECT t.*, row_number() OVER (ORDER BY t.created_at, t.basket_key) AS checkout_number
        FROM timed AS t LEFT JOIN accounts AS a ON a.id = t.customer_id
        WHERE t.created_at < TIMESTAMP '{WORLD_NOW}' - INTERVAL 20 MINUTE
            AND (a.id IS NULL OR t.created_at >= a.created_at OR t.ending = 'completed')
    """)
    connection.execute("""
        CREATE TABLE shopify_checkout_lines AS
        WITH ranked AS (
            SELECT c.checkout_number, c.ending, l.*, 1 + floor(chance('checkout size', c.basket_key) * 5) AS kept,
                row_number() OVER (PARTITION BY l.order_id ORDER BY chance('checkout line', l.id), l.id) AS place
            FROM checkouts AS c JOIN shopify_order_lines AS l USING (order_id)
            WHERE l.discounted_unit_price > 0
        )
        SELECT 3700000000000 + checkout_number * 1000 + place AS id, 3500000000000 + checkout_number AS checkout_id,
            product_id, variant_id, sku, title, quantity, discounted_unit_price AS unit_price
        FROM ranked WHERE ending = 'completed' OR place <= kept
    """)
    connection.execute("""
        CREATE TABLE shopify_checkouts AS
        SELECT 3500000000000 + c.checkout_number AS id, '#' || (3500000000000 + c.checkout_number) AS name,
            c.customer_id, c.email, c.created_at,
            CASE WHEN c.ending = 'completed' THEN c.ordered_at ELSE c.created_at + INTERVAL 4 MINUTE END AS updated_at,
            CASE WHEN c.ending = 'completed' THEN c.ordered_at END AS completed_at,
            sum(l.quantity * l.unit_price) AS total_price, 'USD' AS currency_code,
            CASE WHEN c.ending = 'completed' THEN c.discount_codes
                WHEN chance('checkout code', c.basket_key) < 0.08 THEN ['WELCOME10'] ELSE [] END AS discount_codes,
            'https://shop.example.jp/checkouts/ac/' || md5('checkout|' || c.basket_key) || '/recover?key='
                || md5('key|' || c.basket_key) AS abandoned_checkout_url
        FROM checkouts AS c
        JOIN shopify_checkout_lines AS l ON l.checkout_id = 3500000000000 + c.checkout_number
        GROUP BY ALL
    """)
