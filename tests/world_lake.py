"""Writes the world's tables as a raw lake in one step, as the four vendors would have sent them and landing would have
typed them: for tests of the warehouse that need the whole shop and no HTTP."""

from collections.abc import Callable
from pathlib import Path

import duckdb

from connectors.sandbox import ad_figures, mailchimp_reports
from connectors.sandbox.clock import WORLD_NOW
from connectors.sandbox.schema import TABLES
from tests.raw_lake import RAW_COLUMNS, write_empty


def _bag(amount: str, currency: str = "o.currency_code") -> str:
    return f"{{shopMoney: {{amount: {amount}, currencyCode: {currency}}}}}"


_NOW = f"TIMESTAMP '{WORLD_NOW}'"


def _ad_days(platform: str) -> str:
    """The days of a platform's campaigns as it shows them at the world's present."""
    given = {"platform": f"'{platform}'", "now": _NOW, "since": "DATE '2025-10-01'", "until": "DATE '2026-12-31'"}
    sql = ad_figures.DAYS.replace("$today", "DATE '2026-10-18'")
    for name, value in given.items():
        sql = sql.replace(f"${name}", value)
    return sql


_LINE_FIELDS = """id: 'gid://shopify/LineItem/' || l.id, sku: l.sku, title: l.title, quantity: l.quantity,
    product: {id: 'gid://shopify/Product/' || l.product_id},
    variant: {id: 'gid://shopify/ProductVariant/' || l.variant_id}"""

_SELECTS = {
    "shopify/customers": """
        SELECT 'gid://shopify/Customer/' || c.id AS id, c.id AS legacyResourceId, created_at AS createdAt,
          updated_at AS updatedAt, first_name AS firstName, last_name AS lastName, locale, state, tags,
          verified_email AS verifiedEmail, NULL AS numberOfOrders, NULL AS amountSpent,
          CASE WHEN email IS NOT NULL THEN {emailAddress: email, marketingState: email_marketing_state,
            marketingOptInLevel: email_opt_in_level, marketingUpdatedAt: email_marketing_updated_at,
            validFormat: true} END AS defaultEmailAddress,
          CASE WHEN phone IS NOT NULL THEN {phoneNumber: phone, smsMarketingConsent: {state: sms_marketing_state,
            optInLevel: sms_opt_in_level, updatedAt: sms_marketing_updated_at, collectedFrom: 'SHOPIFY'}}
            END AS defaultPhoneNumber,
          {address1: address1, address2: address2, city: city, provinceCode: province_code,
            countryCodeV2: country_code, zip: zip, phone: address_phone} AS defaultAddress
        FROM shopify_customers AS c""",
    "shopify/orders": f"""
        WITH lines AS (
          SELECT order_id, list({{{_LINE_FIELDS}, currentQuantity: l.current_quantity,
            originalUnitPriceSet: {_bag("l.original_unit_price")},
            discountedUnitPriceSet: {_bag("l.discounted_unit_price")}}}
            ORDER BY l.id) AS lineItems
          FROM shopify_order_lines AS l JOIN shopify_orders AS o ON o.id = l.order_id GROUP BY order_id),
        refunds AS (
          SELECT order_id, list({{id: 'gid://shopify/Refund/' || r.id, createdAt: r.created_at,
            totalRefundedSet: {_bag("r.amount")}}} ORDER BY r.id) AS refunds
          FROM shopify_refunds AS r JOIN shopify_orders AS o ON o.id = r.order_id GROUP BY order_id)
        SELECT 'gid://shopify/Order/' || o.id AS id, name, created_at AS createdAt, updated_at AS updatedAt,
          processed_at AS processedAt, cancelled_at AS cancelledAt, cancel_reason AS cancelReason, test, email,
          financial_status AS displayFinancialStatus, fulfillment_status AS displayFulfillmentStatus,
          currency_code AS currencyCode, currency_code AS presentmentCurrencyCode,
          customer_accepts_marketing AS customerAcceptsMarketing, source_name AS sourceName,
          discount_codes AS discountCodes,
          CASE WHEN customer_id IS NOT NULL THEN {{id: 'gid://shopify/Customer/' || customer_id}} END AS customer,
          {_bag("total_price")} AS totalPriceSet, {_bag("subtotal")} AS subtotalPriceSet,
          {_bag("total_discounts")} AS totalDiscountsSet, {_bag("total_tax")} AS totalTaxSet,
          {_bag("total_shipping")} AS totalShippingPriceSet, {_bag("total_refunded")} AS totalRefundedSet,
          coalesce(lineItems, []) AS lineItems, coalesce(refunds, []) AS refunds
        FROM shopify_orders AS o
        LEFT JOIN lines ON lines.order_id = o.id LEFT JOIN refunds ON refunds.order_id = o.id""",
    "shopify/products": """
        WITH variants AS (
          SELECT product_id, list({id: 'gid://shopify/ProductVariant/' || v.id, sku: v.sku, title: v.title,
            price: v.price} ORDER BY v.id) AS variants FROM shopify_variants AS v GROUP BY product_id)
        SELECT 'gid://shopify/Product/' || p.id AS id, title, vendor, product_type AS productType, handle, status, tags,
          created_at AS createdAt, updated_at AS updatedAt, variants
        FROM shopify_products AS p LEFT JOIN variants ON variants.product_id = p.id""",
    "shopify/abandoned_checkouts": f"""
        WITH lines AS (
          SELECT checkout_id, list({{{_LINE_FIELDS}}} ORDER BY l.id) AS lineItems
          FROM shopify_checkout_lines AS l GROUP BY checkout_id)
        SELECT 'gid://shopify/AbandonedCheckout/' || o.id AS id, name, created_at AS createdAt, updated_at AS updatedAt,
          completed_at AS completedAt, abandoned_checkout_url AS abandonedCheckoutUrl,
          CASE WHEN customer_id IS NOT NULL THEN {{id: 'gid://shopify/Customer/' || customer_id}} END AS customer,
          discount_codes AS discountCodes, {_bag("total_price")} AS totalPriceSet, coalesce(lineItems, []) AS lineItems
        FROM shopify_checkouts AS o LEFT JOIN lines ON lines.checkout_id = o.id""",
    "hubspot/contacts": """
        SELECT id, created_at AS createdAt, updated_at AS updatedAt, archived, archived_at AS archivedAt,
          {email: email, firstname: firstname, lastname: lastname, phone: phone, mobilephone: mobilephone,
           address: address, city: city, state: state, zip: zip, country: country, date_of_birth: date_of_birth,
           lifecyclestage: lifecyclestage, company: NULL::VARCHAR, shopify_customer_id: shopify_customer_id,
           hs_email_optout: CAST(hs_email_optout AS VARCHAR), hs_merged_object_ids: hs_merged_object_ids,
           lastmodifieddate: CAST(updated_at AS VARCHAR)} AS properties,
          CASE WHEN company_id IS NOT NULL THEN
            {companies: {results: [{id: CAST(company_id AS VARCHAR), type: 'contact_to_company'}]}} END AS associations
        FROM hubspot_contacts""",
    "hubspot/companies": """
        SELECT id, created_at AS createdAt, updated_at AS updatedAt, archived, NULL AS archivedAt,
          {name: name, domain: domain, industry: industry, phone: phone, city: city, country: country,
           hs_lastmodifieddate: CAST(updated_at AS VARCHAR)} AS properties FROM hubspot_companies""",
    "hubspot/deals": """
        SELECT id, created_at AS createdAt, updated_at AS updatedAt, archived, NULL AS archivedAt,
          {dealname: dealname, amount: CAST(amount AS VARCHAR), deal_currency_code: deal_currency_code,
           dealstage: dealstage, pipeline: pipeline, closedate: CAST(closedate AS VARCHAR),
           hs_lastmodifieddate: CAST(updated_at AS VARCHAR)} AS properties,
          CASE WHEN contact_id IS NOT NULL THEN
            {contacts: {results: [{id: CAST(contact_id AS VARCHAR), type: 'deal_to_contact'}]}} END AS associations
        FROM hubspot_deals""",
    "hubspot/consents": """
        SELECT email AS subscriberIdString, 'EMAIL' AS channel, subscription_id AS subscriptionId,
          subscription_name AS subscriptionName, status, source, legal_basis AS legalBasis,
          NULL AS legalBasisExplanation, updated_at AS timestamp, NULL AS setStatusSuccessReason
        FROM hubspot_consents""",
    "ga4/events": """
        SELECT CASE WHEN is_intraday THEN 'intraday_' ELSE '' END || table_date AS _table,
          * EXCLUDE (table_date, is_intraday) FROM ga4_events""",
    "mailchimp/members": """
        SELECT md5(lower(email)) AS id, 'list-1' AS list_id, email AS email_address,
          md5('u' || email) AS unique_email_id,
          md5('c' || email) AS contact_id, full_name, status, unsubscribe_reason, timestamp_signup, timestamp_opt,
          last_changed FROM mailchimp_members""",
    "mailchimp/reports": f"""
        SELECT id, 'list-1' AS list_id, 'regular' AS type, title AS campaign_title, subject_line, send_time,
          emails_sent, 0 AS abuse_reports, leavers AS unsubscribed,
          {{hard_bounces: hard, soft_bounces: soft, syntax_errors: 0}} AS bounces,
          {{opens_total: opens, unique_opens: openers}} AS opens,
          {{clicks_total: clicks, unique_clicks: unique_clicks, unique_subscriber_clicks: clickers}} AS clicks,
          {{total_orders: orders, total_spent: revenue, total_revenue: revenue, currency_code: 'USD'}} AS ecommerce
        FROM ({mailchimp_reports.FIGURES.replace("$now", _NOW)})""",
    "mailchimp/email_activity": """
        WITH acted AS (
          SELECT campaign_id, email, list({action: action, type: type, timestamp: occurred_at, url: url, ip: ip}
            ORDER BY occurred_at, action, url) AS activity FROM mailchimp_activity GROUP BY ALL)
        SELECT campaign_id, 'list-1' AS list_id, md5(lower(email)) AS email_id, email AS email_address,
          coalesce(activity, []) AS activity FROM mailchimp_sends LEFT JOIN acted USING (campaign_id, email)""",
    "mailchimp/unsubscribes": """
        SELECT campaign_id, 'list-1' AS list_id, md5(lower(email)) AS email_id, email AS email_address, reason,
          unsubscribed_at AS timestamp FROM mailchimp_unsubscribes""",
    "meta/insights": f"""
        SELECT 'act' AS account_id, 'USD' AS account_currency, campaign_id, name AS campaign_name,
          activity_date AS date_start, activity_date AS date_stop, cost / 1e6 AS spend, impressions, clicks,
          CASE WHEN by_click + by_view > 0 THEN [{{action_type: 'purchase', value: (by_click + by_view)::VARCHAR,
            "7d_click": by_click::VARCHAR, "1d_view": by_view::VARCHAR}}] END AS actions,
          CASE WHEN by_click + by_view > 0 THEN [{{action_type: 'purchase', value: (click_value + view_value)::VARCHAR,
            "7d_click": click_value::VARCHAR, "1d_view": view_value::VARCHAR}}] END AS action_values,
          '7d_click,1d_view' AS action_attribution_windows FROM ({_ad_days("meta")})""",
    "google_ads/campaign_days": f"""
        SELECT 'ads' AS customer_id, campaign_id, activity_date AS date,
          {{resourceName: NULL, id: 'ads', currencyCode: 'USD', timeZone: 'Asia/Tokyo'}} AS customer,
          {{resourceName: NULL, id: campaign_id, name: name, status: 'ENABLED'}} AS campaign,
          {{costMicros: cost, impressions: impressions, clicks: clicks, conversions: by_click,
            conversionsValue: click_value}} AS metrics,
          {{date: activity_date::VARCHAR}} AS segments FROM ({_ad_days("google_ads")})""",
}


def write_world(root: Path, table_path: Callable[[str], Path]) -> Path:
    """Every stream of the world as one commit each; `table_path` gives the Parquet file of a world table."""
    write_empty(root)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET threads = 2; SET memory_limit = '3GB'")
        for table in TABLES:
            connection.execute(f"CREATE VIEW {table} AS FROM read_parquet('{table_path(table)}')")
        for stream, select in _SELECTS.items():
            columns = ", ".join(f'CAST("{name}" AS {type_}) AS "{name}"' for name, type_ in RAW_COLUMNS[stream].items())
            landing = "NULL::VARCHAR AS _extra, TIMESTAMP '2026-10-19 01:00:00' AS _landed_at, false AS _is_deleted"
            connection.execute(
                f"COPY (SELECT {columns}, {landing}, md5(to_json(t)::VARCHAR) AS _row_hash FROM ({select}) AS t) "
                f"TO '{root}/raw/{stream}/0001.parquet' (FORMAT parquet)"
            )
    return root
