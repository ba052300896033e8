"""Who visited the shop's site, when and on which device: the visits behind web orders and carts, and plain looking."""

import duckdb

from connectors.sandbox.clock import WORLD_NOW, WORLD_START


def build_sessions(connection: duckdb.DuckDBPyConnection) -> None:
    """Fills `devices`, `sessions` and `session_items`; needs `people`, `accounts`, `orders` and `checkouts`."""
    _hand_out_devices(connection)
    _plan_visits(connection)
    _choose_device_and_sign_in(connection)
    _choose_items(connection)


def _hand_out_devices(connection: duckdb.DuckDBPyConnection) -> None:
    """One to three browsers for account holders, one for some guests, for unknown visitors and for a few leads."""
    connection.execute(f"""
        CREATE TABLE devices AS
        WITH counted AS (
            SELECT p.person_id, p.household_id, p.role, a.id AS customer_id,
                least(
                    coalesce(a.created_at, TIMESTAMP '{WORLD_START}'), TIMESTAMP '{WORLD_NOW}' - INTERVAL 2 DAY
                ) AS known_from,
                CASE
                    WHEN a.id IS NOT NULL AND p.role = 'lead' THEN 1
                    WHEN a.id IS NOT NULL THEN 1 + (chance('second device', p.person_id) < 0.5)::INTEGER
                        + (chance('third device', p.person_id) < 0.16)::INTEGER
                    WHEN p.person_id LIKE 'visitor%' THEN 1
                    WHEN p.role = 'buyer' THEN (chance('guest device', p.person_id) < 0.3)::INTEGER
                    WHEN p.role = 'lead' THEN (chance('lead device', p.person_id) < 0.08)::INTEGER
                    ELSE 0
                END AS device_count
            FROM people AS p LEFT JOIN accounts AS a ON a.person_id = p.person_id AND NOT a.is_second
        ),
        numbered AS (
            SELECT *, unnest(range(1, device_count + 1)) AS device_number FROM counted
        )
        SELECT person_id, household_id, role, device_number, device_count,
            -- a later device is bought some time in the year
            CASE WHEN device_number = 1 THEN known_from - seconds('touch', person_id, 4000, 2000000)
                ELSE TIMESTAMP '{WORLD_START}' + seconds('bought ' || device_number, person_id, 0, 27000000)
            END AS used_from,
            1000000000 + floor(chance('browser ' || device_number, person_id) * 1100000000)::BIGINT AS browser_number,
            ['mobile', 'mobile', 'mobile', 'desktop', 'desktop', 'tablet']
                [1 + floor(chance('category ' || device_number, person_id) * 6)::INTEGER] AS category,
            chance('make ' || device_number, person_id) AS make
        FROM numbered
    """)
    connection.execute("""
        ALTER TABLE devices ADD COLUMN pseudo_id VARCHAR;
        UPDATE devices SET pseudo_id = browser_number || '.' || epoch(used_from)::BIGINT
    """)


def _plan_visits(connection: duckdb.DuckDBPyConnection) -> None:
    """The visits: behind three quarters of the web orders, behind most checkouts that were left, and just looking."""
    connection.execute(f"""
        CREATE TABLE visits AS
        SELECT 'purchase' AS kind, 'order ' || basket_key AS visit_key, person_id, customer_id, id AS order_id,
            NULL::BIGINT AS checkout_number, created_at - seconds('visit', basket_key, 150, 1550) AS started_at,
            created_at AS ended_at
        FROM orders WHERE kind <> 'test' AND source_name = 'web' AND chance('tracked', basket_key) < 0.72
        UNION ALL
        SELECT 'cart', 'checkout ' || basket_key, person_id, customer_id, order_id, checkout_number,
            created_at - seconds('cart visit', basket_key, 200, 900), created_at
        FROM checkouts WHERE ending <> 'completed' AND chance('cart tracked', basket_key) < 0.85
        UNION ALL
        SELECT 'look', 'look ' || visit_number || ' ' || person_id, person_id, customer_id, NULL, NULL,
            started_at, started_at + seconds('look length ' || visit_number, person_id, 40, 940)
        FROM (
            SELECT d.person_id, a.id AS customer_id, visit_number,
                -- some day after the browser is known, at an hour of the evening more often than not
                INTERVAL 1 DAY + date_trunc('day', greatest(d.used_from, TIMESTAMP '{WORLD_START}')
                    + (TIMESTAMP '{WORLD_NOW}' - INTERVAL 1 DAY - greatest(d.used_from, TIMESTAMP '{WORLD_START}'))
                    * chance('look day ' || visit_number, d.person_id))
                + to_seconds((1700 + 50000 * (1 - chance('look hour ' || visit_number, d.person_id) ** 2))::BIGINT)
                    AS started_at
            FROM devices AS d
            LEFT JOIN accounts AS a ON a.person_id = d.person_id AND NOT a.is_second,
                unnest(range(1, 1 + floor(9.6 * chance('looks', d.person_id) ** 1.1)::BIGINT)) AS n(visit_number)
            WHERE d.device_number = 1
        )
    """)


def _choose_device_and_sign_in(connection: duckdb.DuckDBPyConnection) -> None:
    """Which browser, signed in for `all` of it, from the `checkout` or for `none`, and whether counting was refused."""
    connection.execute("""
        CREATE TABLE sessions AS
        WITH chosen AS (
            SELECT v.*, owner.household_id, owner.role,
                1 + floor(chance('which device', v.visit_key) * first.device_count)::BIGINT AS wished,
                chance('sign in', v.visit_key) AS sign_in, chance('consent', v.visit_key) < 0.07 AS has_refused,
                -- some families share the tablet in the living room
                owner.role = 'family' AND chance('shared device', owner.household_id) < 0.06
                    AND chance('on shared device', v.visit_key) < 0.3 AS on_shared_device
            FROM visits AS v
            JOIN people AS owner USING (person_id)
            LEFT JOIN devices AS first ON first.person_id = v.person_id AND first.device_number = 1
        )
        SELECT c.visit_key, c.kind, c.person_id, c.order_id, c.checkout_number, c.started_at, c.ended_at,
            -- a guest without a browser of their own is one who refuses to be counted
            c.has_refused OR d.pseudo_id IS NULL AS has_refused,
            CASE WHEN NOT c.has_refused THEN d.pseudo_id END AS pseudo_id,
            d.used_from AS first_touch_at, d.category, coalesce(d.make, 0.5) AS make, d.person_id AS device_owner,
            CASE WHEN NOT c.has_refused AND d.pseudo_id IS NOT NULL THEN c.customer_id END AS customer_id,
            CASE
                WHEN c.kind = 'look' AND sign_in < 0.5 THEN 'all'
                WHEN c.kind <> 'look' AND sign_in < 0.8 THEN 'all'
                WHEN c.kind <> 'look' AND sign_in < 0.93 THEN 'checkout'
                ELSE 'none'
            END AS signed_in,
            row_number() OVER (PARTITION BY c.person_id ORDER BY c.started_at, c.visit_key) AS session_number,
            chance('campaign', c.visit_key) AS campaign
        FROM chosen AS c
        LEFT JOIN devices AS own ON own.person_id = c.person_id AND own.device_number = c.wished
            AND own.used_from < c.started_at
        LEFT JOIN devices AS first ON first.person_id = c.person_id AND first.device_number = 1
        LEFT JOIN devices AS shared ON c.on_shared_device AND shared.household_id = c.household_id
            AND shared.role = 'buyer' AND shared.device_number = 1
        LEFT JOIN devices AS d ON d.pseudo_id = coalesce(shared.pseudo_id, own.pseudo_id, first.pseudo_id)
    """)


def _choose_items(connection: duckdb.DuckDBPyConnection) -> None:
    """Up to three goods a visit shows in detail: of the order, of the cart, or what the person (or everybody) likes."""
    connection.execute("""
        CREATE TABLE session_items AS
        WITH from_orders AS (
            SELECT s.visit_key, l.product_id, l.quantity, l.discounted_unit_price AS price,
                row_number() OVER (PARTITION BY s.visit_key ORDER BY chance('shown', l.id), l.id) AS place
            FROM sessions AS s JOIN shopify_order_lines AS l ON l.order_id = s.order_id
            WHERE s.kind = 'purchase'
        ),
        from_carts AS (
            SELECT s.visit_key, l.product_id, l.quantity, l.unit_price AS price,
                row_number() OVER (PARTITION BY s.visit_key ORDER BY l.id) AS place
            FROM sessions AS s JOIN shopify_checkout_lines AS l ON l.checkout_id = 3500000000000 + s.checkout_number
            WHERE s.kind = 'cart'
        ),
        shelf AS (
            -- a person's own goods, numbered; the person '' stands for everybody's
            SELECT person_id, product_id, count(*) OVER (PARTITION BY person_id) AS size,
                row_number() OVER (
                    PARTITION BY person_id ORDER BY chance('own', person_id || product_id), product_id
                ) AS place
            FROM (
                SELECT DISTINCT o.person_id, l.product_id
                FROM orders AS o JOIN shopify_order_lines AS l ON l.order_id = o.id WHERE l.discounted_unit_price > 0
            )
            UNION ALL
            SELECT '', product_id, 200, place
            FROM (
                SELECT product_id, row_number() OVER (ORDER BY count(*) DESC, product_id) AS place
                FROM shopify_order_lines WHERE discounted_unit_price > 0 GROUP BY product_id
            ) WHERE place <= 200
        ),
        looks AS (
            SELECT s.visit_key, coalesce(sizes.person_id, '') AS shelf_of, coalesce(sizes.size, 200) AS size, place
            FROM sessions AS s LEFT JOIN (SELECT DISTINCT person_id, size FROM shelf) AS sizes USING (person_id),
                unnest([1, 2, 3]) AS n(place)
            WHERE s.kind = 'look' AND place <= 1 + floor(chance('look count', s.visit_key) * 3)
        ),
        from_shelves AS (
            SELECT l.visit_key, f.product_id, 1 AS quantity, v.price, l.place
            FROM looks AS l
            JOIN shelf AS f ON f.person_id = l.shelf_of
                AND f.place = 1 + floor(chance('look at ' || l.place, l.visit_key) * l.size)::BIGINT
            JOIN shopify_variants AS v USING (product_id)
        )
        SELECT * FROM from_orders WHERE place <= 3
        UNION ALL SELECT * FROM from_carts WHERE place <= 3
        UNION ALL SELECT * FROM from_shelves
    """)
