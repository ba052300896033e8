"""Reads the real purchases as the shop's amounts and times, and makes the shop's catalogue of them.

What the data say and what the shop shows:

* One basket is one order, one purchase line one order line; cancelled and test orders are invented beside them.
* The data's `sales_value` is what the shop received for a line; it is quantity x discounted unit price, to the cent.
  The loyalty-card discount and the shop's match of a coupon come on top of it in the original price. The
  manufacturer's coupon is paid back to the shop, so it lowers no amount and only shows as a discount code.
* A line whose amounts do not divide by its quantity, a line of quantity 0 (coupons, corrections) and fuel (quantities
  in thousandths of a gallon) become quantity 1 at the exact amount, with the number of pieces in the title.
* The package's times are UTC of a shop in the eastern United States. They are read on that shop's own clock (which
  makes them exactly the year 2017), moved by 459 weeks and read as the clock of a shop in Tokyo.
"""

import duckdb

from connectors.sandbox.clock import SHOP_UTC_OFFSET_HOURS, WORLD_NOW, YEAR_SHIFT_DAYS

_LARGEST_QUANTITY = 100


def read_purchases(connection: duckdb.DuckDBPyConnection, package_data: str, household_count: int | None) -> None:
    """Reads the lines of the chosen households into `purchases`, amounts as decimals and times as the shop's UTC."""
    limit = "" if household_count is None else f"LIMIT {int(household_count)}"
    connection.execute(f"""
        CREATE TABLE chosen_households AS
        SELECT household_id FROM (SELECT DISTINCT household_id FROM '{package_data}/transactions.parquet')
        ORDER BY chance('household', household_id), household_id {limit}
    """)
    connection.execute(f"""
        CREATE TABLE purchases AS
        WITH amounts AS (
            SELECT
                household_id, basket_id, product_id, quantity AS pieces,
                round(sales_value, 2)::DECIMAL(12, 2) AS received,
                (round(sales_value, 2)::DECIMAL(12, 2) + round(retail_disc, 2)::DECIMAL(12, 2)
                    + round(coupon_match_disc, 2)::DECIMAL(12, 2))::DECIMAL(12, 2) AS before_discount,
                coupon_disc > 0 AS has_coupon,
                transaction_timestamp
                    -- daylight saving time of 2017 in the United States
                    - CASE WHEN transaction_timestamp >= TIMESTAMP '2017-03-12 07:00:00'
                            AND transaction_timestamp < TIMESTAMP '2017-11-05 06:00:00'
                        THEN INTERVAL 4 HOUR ELSE INTERVAL 5 HOUR END AS local_time
            FROM '{package_data}/transactions.parquet'
            WHERE household_id IN (SELECT household_id FROM chosen_households)
        )
        SELECT
            household_id, basket_id, product_id, pieces, received, before_discount, has_coupon, local_time,
            local_time + INTERVAL {YEAR_SHIFT_DAYS} DAY - INTERVAL {SHOP_UTC_OFFSET_HOURS} HOUR AS created_at,
            CASE WHEN pieces BETWEEN 1 AND {_LARGEST_QUANTITY}
                    AND (received * 100)::BIGINT % greatest(pieces, 1) = 0
                    AND (before_discount * 100)::BIGINT % greatest(pieces, 1) = 0
                THEN pieces ELSE 1 END AS quantity
        FROM amounts
    """)


def build_products(connection: duckdb.DuckDBPyConnection, package_data: str) -> None:
    """One product with one variant for everything the chosen households ever bought."""
    connection.execute(f"""
        CREATE TABLE shopify_products AS
        WITH sold AS (SELECT product_id, max(created_at) AS last_sold_at FROM purchases GROUP BY product_id)
        SELECT
            8000000000000 + product_id AS id,
            coalesce(product_type, 'ITEM ' || product_id) || coalesce(' ' || package_size, '') AS title,
            'Manufacturer ' || coalesce(manufacturer_id::VARCHAR, 'unknown') AS vendor,
            coalesce(product_category, 'UNCATEGORIZED') AS product_type,
            trim(regexp_replace(lower(coalesce(product_type, 'item')), '[^a-z0-9]+', '-', 'g'), '-')
                || '-' || product_id AS handle,
            CASE WHEN last_sold_at < TIMESTAMP '{WORLD_NOW}' - INTERVAL 240 DAY THEN 'ARCHIVED' ELSE 'ACTIVE' END
                AS status,
            [coalesce(department, 'UNKNOWN'), coalesce(brand, 'Unknown')] AS tags,
            TIMESTAMP '2025-09-30 00:00:00' - seconds('product', product_id, 0, 63000000) AS created_at,
            greatest(
                TIMESTAMP '2025-10-01 00:00:00',
                last_sold_at - seconds('product update', product_id, 0, 5000000)
            ) AS updated_at
        FROM sold LEFT JOIN '{package_data}/products.parquet' USING (product_id)
    """)
    connection.execute("""
        CREATE TABLE shopify_variants AS
        SELECT
            44000000000000 + product_id AS id, 8000000000000 + product_id AS product_id, product_id::VARCHAR AS sku,
            'Default Title' AS title, quantile_disc((before_discount / quantity)::DECIMAL(12, 2), 0.5) AS price
        FROM purchases GROUP BY product_id
    """)
