"""By which link each visit came, and what the ad platforms make of it: spend, clicks and the orders they claim.

A platform credits the day of the click, learns of an order hours or days later, and sees nobody's links but its own:
so it claims orders that came by another way, two of them claim the same, and its last days still change.
"""

import duckdb

from connectors.sandbox.clock import SHOP_UTC_OFFSET_HOURS

# Platform, campaign, price of a click in dollars, clicks per impression.
_CAMPAIGNS = (
    ("google_ads", "brand_search", 0.42, 0.11),
    ("google_ads", "grocery_search", 1.35, 0.045),
    ("google_ads", "shopping_feed", 0.74, 0.012),
    ("meta", "catalogue_retargeting", 0.66, 0.014),
    ("meta", "gift_ideas", 0.92, 0.009),
    ("meta", "spring_fair", 0.81, 0.011),
    ("meta", "autumn_fair", 0.79, 0.010),
)
META_CLICK_DAYS, META_VIEW_DAYS = 7, 1
GOOGLE_CLICK_DAYS = 30


def choose_links(connection: duckdb.DuckDBPyConnection) -> None:
    """Fills `visit_links`: source, medium and campaign of every visit that came by a link; the rest came by itself.

    Needs `sessions`, `letter_visits` and `mailchimp_campaigns`.
    """
    connection.execute(f"""
        CREATE TABLE visit_links AS
        WITH drawn AS (
            SELECT s.visit_key, s.person_id, s.started_at, s.campaign AS draw, m.title AS letter,
                chance('ad campaign', s.visit_key) AS ad, chance('ad source', s.visit_key) AS ad_source,
                (s.started_at + INTERVAL {SHOP_UTC_OFFSET_HOURS} HOUR)::DATE AS visited_on
            FROM sessions AS s
            LEFT JOIN letter_visits AS l USING (visit_key)
            LEFT JOIN mailchimp_campaigns AS m ON m.id = l.campaign_id
        )
        SELECT visit_key, person_id, started_at, visited_on,
            CASE WHEN letter IS NOT NULL THEN 'mailchimp' WHEN draw < 0.08 THEN 'google' WHEN draw < 0.13 THEN 'yahoo'
                WHEN draw < 0.16 THEN 'recipes.example' WHEN draw < 0.28 THEN 'google'
                WHEN draw < 0.36 THEN CASE WHEN ad_source < 0.65 THEN 'instagram' ELSE 'facebook' END
                ELSE 'line' END AS source,
            CASE WHEN letter IS NOT NULL THEN 'email' WHEN draw < 0.13 THEN 'organic' WHEN draw < 0.16 THEN 'referral'
                WHEN draw < 0.28 THEN 'cpc' WHEN draw < 0.36 THEN 'paid_social' ELSE 'social' END AS medium,
            CASE WHEN letter IS NOT NULL THEN letter WHEN draw < 0.13 THEN '(organic)'
                WHEN draw < 0.16 THEN '(referral)'
                WHEN draw < 0.28 THEN CASE WHEN ad < 0.5 THEN 'brand_search' WHEN ad < 0.8 THEN 'grocery_search'
                    ELSE 'shopping_feed' END
                WHEN draw < 0.36 THEN CASE WHEN ad < 0.4 THEN 'catalogue_retargeting'
                    WHEN month(visited_on) IN (3, 4) THEN 'spring_fair' WHEN month(visited_on) IN (9, 10)
                    THEN 'autumn_fair' WHEN month(visited_on) IN (11, 12) THEN 'gift_ideas'
                    ELSE 'catalogue_retargeting' END
                ELSE 'line_coupon' END AS campaign
        FROM drawn WHERE letter IS NOT NULL OR draw < 0.42
    """)


def report_ads(connection: duckdb.DuckDBPyConnection) -> None:
    """Fills `ad_campaigns`, `ad_days` and `ad_claims`; needs `visit_links`, `sessions` and `orders`."""
    listed = ", ".join(str(campaign) for campaign in _CAMPAIGNS)
    connection.execute(f"""
        CREATE TABLE ad_campaigns AS
        SELECT platform, name, price, click_rate,
            CASE WHEN platform = 'meta' THEN '1202' ELSE '21' END
                || lpad(floor(chance('ad id', name) * 1000000000)::BIGINT::VARCHAR, 9, '0') AS id
        FROM (VALUES {listed}) AS planned(platform, name, price, click_rate)
    """)
    connection.execute(f"""
        CREATE TABLE ad_days AS
        WITH counted AS (
            SELECT c.*, l.visited_on, c.name || l.visited_on AS day_key, count(*) AS visits
            FROM visit_links AS l JOIN ad_campaigns AS c ON c.name = l.campaign GROUP BY ALL
        ),
        -- people who leave before the page loads or refuse to be counted; and clicks taken back after two days
        clicked AS (
            SELECT *, visits + floor(visits * 0.22 * chance('lost', day_key) + 3 * chance('strangers', day_key))::BIGINT
                AS clicks
            FROM counted
        )
        SELECT platform, id AS campaign_id, visited_on AS activity_date,
            floor(clicks / click_rate * (0.8 + 0.4 * chance('reach', day_key)))::BIGINT AS impressions, clicks,
            floor(clicks * price * (0.8 + 0.4 * chance('price', day_key)) * 100)::BIGINT * 10000 AS cost_micros,
            CASE WHEN clicks > 1 AND chance('invalid', day_key) < 0.2
                THEN greatest(1, floor(clicks * 0.06))::BIGINT ELSE 0 END AS invalid_clicks,
            visited_on + INTERVAL 2 DAY + INTERVAL {24 - SHOP_UTC_OFFSET_HOURS} HOUR AS corrected_at
        FROM clicked
    """)
    connection.execute(f"""
        CREATE TABLE ad_clicks AS
        SELECT c.platform, min(c.id) AS campaign_id, l.person_id, l.started_at AS clicked_at, l.visited_on
        FROM visit_links AS l JOIN ad_campaigns AS c ON c.name = l.campaign GROUP BY ALL;
        -- a pixel sees the orders of the site, those cancelled later too; never the till's
        CREATE TABLE seen_orders AS
        SELECT o.id, o.person_id, o.created_at, o.total, o.name,
            (o.created_at + INTERVAL {SHOP_UTC_OFFSET_HOURS} HOUR)::DATE AS ordered_on
        FROM orders AS o
        WHERE o.kind <> 'test' AND o.source_name = 'web' AND o.total > 0 AND chance('pixel', o.id) < 0.93
    """)
    connection.execute(f"""
        CREATE TABLE ad_claims AS
        {_meta_claims()} UNION ALL BY NAME {_google_claims()}
    """)


def _meta_claims() -> str:
    """The last click of a week gets the whole order, else an ad shown the day before; some are counted twice."""
    return f"""(
        WITH clicked AS (
            SELECT o.id, o.total, o.created_at, c.campaign_id, c.visited_on
            FROM seen_orders AS o
            ASOF JOIN (FROM ad_clicks WHERE platform = 'meta') AS c
                ON c.person_id = o.person_id AND c.clicked_at <= o.created_at
            WHERE o.created_at < c.clicked_at + INTERVAL {META_CLICK_DAYS} DAY
        ),
        shown AS (
            SELECT o.id, o.total, o.created_at, d.campaign_id, d.activity_date AS visited_on
            FROM seen_orders AS o
            JOIN ad_days AS d ON d.platform = 'meta'
                AND d.activity_date = o.ordered_on - (chance('shown on', o.id) < 0.5)::INTEGER
            WHERE chance('shown', o.id) < 0.04 AND o.id NOT IN (SELECT id FROM clicked)
            QUALIFY row_number() OVER (PARTITION BY o.id ORDER BY chance('shown by', o.id || d.campaign_id)) = 1
        ),
        claimed AS (
            SELECT *, 'click' AS kind FROM clicked UNION ALL SELECT *, 'view' FROM shown
            -- the browser's and the server's message of one order were not taken for the same
            UNION ALL SELECT *, 'double' FROM clicked WHERE chance('sent twice', id) < 0.03
        )
        SELECT 'meta' AS platform, campaign_id, visited_on AS activity_date, id AS order_id, kind,
            1::DECIMAL(12, 4) AS credit, total::DECIMAL(12, 2) AS value,
            created_at + seconds('meta learns', id, 600, 100000) AS visible_at
        FROM claimed)"""


def _google_claims() -> str:
    """Shares of an order for each click of a month by how fresh it was; less than all of it where clicks are old."""
    return f"""(
        WITH weighed AS (
            SELECT o.id, o.total, o.created_at, c.campaign_id, c.visited_on,
                -- whole numbers: their sum is the same in any order
                floor(0.5 ** (epoch(o.created_at - c.clicked_at) / 86400 / 4) * 1000000)::BIGINT AS weight
            FROM seen_orders AS o
            JOIN ad_clicks AS c ON c.platform = 'google_ads' AND c.person_id = o.person_id
                AND c.clicked_at <= o.created_at AND c.clicked_at > o.created_at - INTERVAL {GOOGLE_CLICK_DAYS} DAY
        ),
        summed AS (
            SELECT id, total, created_at, campaign_id, visited_on, sum(weight) AS weight FROM weighed GROUP BY ALL
        ),
        shared AS (
            SELECT *, (weight * 10000 // greatest(sum(weight) OVER (PARTITION BY id), 1000000))::BIGINT AS parts
            FROM summed
        )
        SELECT 'google_ads' AS platform, campaign_id, visited_on AS activity_date, id AS order_id, 'click' AS kind,
            (parts * 0.0001)::DECIMAL(12, 4) AS credit, (total * parts * 0.0001)::DECIMAL(12, 2) AS value,
            created_at + seconds('google learns', id, 7200, 250000) AS visible_at
        FROM shared WHERE parts >= 300)"""
