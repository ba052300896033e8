"""The year's e-mail campaigns: whom each was sent to, who opened, clicked, bounced or left, and what the tool claims.

A letter to everybody each second Thursday, and the coupon campaigns of the real data to the households that got them.
Who was on the list at a moment follows from the members' own rows, so every event agrees with their state today.
"""

import duckdb

from connectors.sandbox.clock import WORLD_NOW, WORLD_START, YEAR_SHIFT_DAYS

# A visit within these days of a letter may have come by its link.
_VISIT_DAYS = 5
# The tool's own rule: the last campaign clicked within these days has earned the order, whatever came between.
CLAIM_DAYS = 30
_LINKS = ("", "products/new", "coupons")


def send_campaigns(connection: duckdb.DuckDBPyConnection, package_data: str) -> None:
    """Fills `mailchimp_campaigns`, `mailchimp_sends` and `letters` (the same with the person who got it).

    Needs `mailchimp_members`, `accounts` and `people`.
    """
    connection.execute(f"""
        CREATE TABLE mailchimp_campaigns AS
        WITH planned AS (
            SELECT 'newsletter_' || strftime(day, '%Y%m%d') AS title, 'News of ' || strftime(day, '%-d %B') AS subject,
                day + INTERVAL 1 HOUR AS send_time, NULL::BIGINT AS coupons_of
            FROM (SELECT TIMESTAMP '2025-10-23' + INTERVAL 14 DAY * n AS day FROM unnest(range(26)) AS weeks(n))
            UNION ALL
            SELECT 'coupons_' || lower(right(campaign_type, 1)) || '_' || lpad(campaign_id::VARCHAR, 2, '0'),
                'Your coupons until ' || strftime(end_date + INTERVAL {YEAR_SHIFT_DAYS} DAY, '%-d %B'),
                -- a few minutes apart where two begin on one day
                start_date + INTERVAL {YEAR_SHIFT_DAYS} DAY + INTERVAL 7 MINUTE * campaign_id, campaign_id
            FROM '{package_data}/campaign_descriptions.parquet'
        )
        SELECT left(md5(title || chance('campaign', title)), 10) AS id,
            4000000 + row_number() OVER (ORDER BY send_time) AS web_id, title, subject AS subject_line,
            send_time - seconds('prepared', title, 3600, 400000) AS create_time, send_time, coupons_of
        FROM planned WHERE send_time BETWEEN TIMESTAMP '{WORLD_START}' AND TIMESTAMP '{WORLD_NOW}'
    """)
    connection.execute(f"""
        CREATE TABLE letters AS
        WITH addresses AS (
            SELECT lower(email) AS address, min(person_id) AS person_id FROM (
                SELECT email, person_id FROM accounts UNION ALL SELECT email, person_id FROM people WHERE role = 'lead'
            ) GROUP BY ALL
        ),
        readers AS (
            SELECT m.email, m.status, m.timestamp_opt AS subscribed_at, a.person_id, p.household_id,
                CASE WHEN m.status <> 'subscribed' THEN m.last_changed END AS left_at
            FROM mailchimp_members AS m
            JOIN addresses AS a ON a.address = lower(m.email) JOIN people AS p USING (person_id)
            WHERE m.timestamp_opt IS NOT NULL
        ),
        sent AS (
            SELECT c.id AS campaign_id, c.send_time, r.*,
                row_number() OVER (PARTITION BY r.email ORDER BY c.send_time DESC) = 1 AS is_last
            FROM mailchimp_campaigns AS c
            JOIN readers AS r ON c.send_time > r.subscribed_at AND (r.left_at IS NULL OR c.send_time < r.left_at)
            WHERE c.coupons_of IS NULL OR (c.coupons_of, r.household_id) IN (
                SELECT (campaign_id, household_id) FROM '{package_data}/campaigns.parquet'
            )
        )
        SELECT *,
            CASE WHEN status = 'cleaned' AND is_last THEN 'hard'
                WHEN chance('soft bounce', campaign_id || email) < 0.006 THEN 'soft' ELSE 'sent' END AS delivery
        FROM sent
    """)
    connection.execute("""
        CREATE TABLE mailchimp_sends AS SELECT campaign_id, email, delivery AS status FROM letters;
        CREATE TABLE mailchimp_unsubscribes AS
        SELECT l.campaign_id, l.email, m.unsubscribe_reason AS reason, m.last_changed AS unsubscribed_at
        FROM letters AS l JOIN mailchimp_members AS m USING (email)
        WHERE l.is_last AND l.delivery = 'sent' AND m.status = 'unsubscribed' AND m.self_unsubscribed
    """)


def visits_by_letter(connection: duckdb.DuckDBPyConnection) -> None:
    """Fills `letter_visits`: the visits that came by the link of the newest letter the visitor had got."""
    connection.execute(f"""
        CREATE TABLE letter_visits AS
        WITH newest AS (
            SELECT person_id, send_time, min_by(campaign_id, email) AS campaign_id, min(email) AS email
            FROM letters WHERE delivery = 'sent' GROUP BY ALL
        )
        SELECT s.visit_key, s.started_at, l.campaign_id, l.email
        FROM sessions AS s ASOF JOIN newest AS l ON l.person_id = s.person_id AND l.send_time <= s.started_at
        WHERE s.started_at BETWEEN l.send_time + INTERVAL 10 MINUTE AND l.send_time + INTERVAL {_VISIT_DAYS} DAY
            AND chance('by letter', s.visit_key) < 0.3
    """)


def report_campaigns(connection: duckdb.DuckDBPyConnection) -> None:
    """Fills `mailchimp_activity` and `mailchimp_claims`; needs `letter_visits` and `orders`."""
    links = ", ".join(f"'https://shop.example.jp/{link}'" for link in _LINKS)
    connection.execute(f"""
        CREATE TABLE mailchimp_activity AS
        WITH delivered AS (
            SELECT campaign_id, email, send_time, campaign_id || email AS letter, chance('reader', email) AS reader,
                chance('proxy', email) < 0.38 AS has_proxy, chance('scanner', email) < 0.012 AS has_scanner
            FROM letters WHERE delivery = 'sent'
        ),
        -- those of the visits that GA4 counted, and some whose visit it did not
        clicks AS (
            SELECT campaign_id, email, campaign_id || email AS letter,
                started_at - seconds('clicked', visit_key, 1, 5) AS occurred_at,
                1 + floor(chance('link', visit_key) * {len(_LINKS)})::INTEGER AS link
            FROM letter_visits
            UNION ALL
            SELECT campaign_id, email, letter, send_time + seconds('click', letter, 400, 200000),
                1 + floor(chance('link', letter) * {len(_LINKS)})::INTEGER
            FROM delivered WHERE chance('uncounted click', letter) < 0.008
        ),
        scans AS (
            SELECT campaign_id, email, letter, send_time + seconds('scanned', letter, 4, 40) AS occurred_at,
                unnest(range(1, {len(_LINKS) + 1})) AS link
            FROM delivered WHERE has_scanner
        ),
        opens AS (
            -- the mail program's proxy fetches every picture soon after delivery, whoever reads
            SELECT campaign_id, email, send_time + seconds('fetched', letter, 20, 5400) AS occurred_at, true AS is_proxy
            FROM delivered WHERE has_proxy AND chance('fetch', letter) < 0.96
            UNION ALL
            SELECT campaign_id, email, send_time + seconds('opened ' || n, letter, 60, 150000 * n), false
            FROM delivered, unnest([1, 2]) AS times(n)
            WHERE chance('open ' || n, letter) < (0.04 + 0.5 * reader * reader) / n
            UNION ALL
            SELECT campaign_id, email, occurred_at - seconds('read', letter || occurred_at, 5, 90), false FROM clicks
        )
        SELECT campaign_id, email, 'open' AS action, NULL AS type, occurred_at, NULL AS url,
            CASE WHEN is_proxy THEN '17.58.' || floor(chance('proxy address', email || occurred_at) * 250)::INTEGER
                ELSE '198.51.100.' || floor(chance('address', email) * 250)::INTEGER END
            || CASE WHEN is_proxy THEN '.9' ELSE '' END AS ip
        FROM opens
        UNION ALL
        SELECT campaign_id, email, 'click', NULL, occurred_at, [{links}][link],
            '198.51.100.' || floor(chance('address', email) * 250)::INTEGER
        FROM (FROM clicks UNION ALL FROM scans)
        UNION ALL
        SELECT campaign_id, email, 'bounce', delivery, send_time + seconds('bounced', campaign_id || email, 30, 3000),
            NULL, NULL
        FROM letters WHERE delivery <> 'sent'
    """)
    connection.execute(f"""
        DELETE FROM mailchimp_activity WHERE occurred_at > TIMESTAMP '{WORLD_NOW}';
        CREATE TABLE mailchimp_claims AS
        WITH clicks AS (
            SELECT lower(email) AS address, occurred_at, min(campaign_id) AS campaign_id
            FROM mailchimp_activity WHERE action = 'click' GROUP BY ALL
        )
        SELECT o.id AS order_id, c.campaign_id, c.occurred_at AS clicked_at, o.created_at AS claimed_at,
            o.total AS revenue
        FROM orders AS o ASOF JOIN clicks AS c ON c.address = lower(o.email) AND c.occurred_at <= o.created_at
        -- the shop's own link to the tool tells it of web orders only, and never that one was cancelled
        WHERE o.kind <> 'test' AND o.source_name = 'web' AND o.created_at < c.occurred_at + INTERVAL {CLAIM_DAYS} DAY
    """)
