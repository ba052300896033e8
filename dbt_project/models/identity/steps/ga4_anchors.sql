{{ config(
  materialized=kept_table(), kept_by='record_id', kept_from=['stg_ga4__events', 'purchased_orders', 'stg_shopify__orders']
) }}
{% call keys_that_changed() %}
select user_id from {{ changes_of('stg_ga4__events') }}
union all
select user_pseudo_id from {{ changes_of('stg_ga4__events') }}
union all
select user_pseudo_id from {{ changes_of('purchased_orders') }}
union all
select user_pseudo_id from {{ ref('purchased_orders') }}
where order_id in (select order_id from {{ changes_of('stg_shopify__orders') }})
{% endcall -%}
-- whom a browser belongs to: one account or one order, so that a device a family shares never joins two people
with events as (
  select * from {{ rows_of('stg_ga4__events', 'user_pseudo_id') }}
),

browsers as (
  select
    user_pseudo_id,
    min(event_at) as first_seen_at,
    max(event_at) as last_seen_at
  from events
  where user_pseudo_id is not null
  group by user_pseudo_id
),

accounts as (
  select
    user_id,
    min(event_at) as first_seen_at,
    max(event_at) as last_seen_at
  from {{ rows_of('stg_ga4__events', 'user_id') }}
  where user_id is not null
  group by user_id
),

signed_in as (
  select
    user_pseudo_id,
    'shopify_customer' as identifier_type,
    {{ replace_pattern('user_id', '^.*/', '') }} as identifier_value,
    'signed_in' as rule,
    count(*) as event_count,
    min(event_at) as first_event_at
  from events
  where user_pseudo_id is not null and user_id is not null
  group by user_pseudo_id, user_id
),

-- a name that several orders carry is taken for the first of them
purchases as (
  select
    event_id,
    user_pseudo_id,
    event_at,
    min(order_id) as order_id
  from {{ rows_of('purchased_orders', 'user_pseudo_id') }}
  where user_pseudo_id is not null and order_id is not null
  group by event_id, user_pseudo_id, event_at
),

ordered as (
  select
    purchases.user_pseudo_id,
    case when orders.shopify_customer_id is null then 'email' else 'shopify_customer' end as identifier_type,
    coalesce({{ replace_pattern('orders.shopify_customer_id', '^.*/', '') }}, orders.email) as identifier_value,
    'ordered' as rule,
    count(*) as event_count,
    min(purchases.event_at) as first_event_at
  from purchases
  inner join {{ ref('stg_shopify__orders') }} as orders on purchases.order_id = orders.order_id
  group by purchases.user_pseudo_id, orders.shopify_customer_id, orders.email
),

candidates as (
  select * from signed_in
  union all
  select * from ordered
  where identifier_value is not null
),

ranked as (
  select
    *,
    row_number() over (
      partition by user_pseudo_id
      -- a sign-in says more than an order placed as a guest; then who uses the browser most
      order by case rule when 'signed_in' then 0 else 1 end, event_count desc, first_event_at asc, identifier_value asc
    ) as anchor_rank
  from candidates
)

select
  'ga4.user_id' as record_type,
  user_id as record_id,
  'shopify_customer' as identifier_type,
  {{ replace_pattern('user_id', '^.*/', '') }} as identifier_value,
  'own_number' as rule,
  first_seen_at,
  last_seen_at
from accounts
union all
select
  'ga4.user_pseudo_id' as record_type,
  browsers.user_pseudo_id as record_id,
  coalesce(ranked.identifier_type, 'ga4_browser') as identifier_type,
  coalesce(ranked.identifier_value, browsers.user_pseudo_id) as identifier_value,
  coalesce(ranked.rule, 'own_number') as rule,
  browsers.first_seen_at,
  browsers.last_seen_at
from browsers
left join ranked on browsers.user_pseudo_id = ranked.user_pseudo_id and ranked.anchor_rank = 1
