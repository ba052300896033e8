{{ config(materialized=kept_table(), kept_by='event_id', kept_from=['stg_ga4__events', 'stg_shopify__orders']) }}
{% call keys_that_changed() %}
select event_id from {{ changes_of('stg_ga4__events') }} where event_name = 'purchase'
union all
select event_id from {{ this }}
where
  transaction_id in (
    select order_id from {{ changes_of('stg_shopify__orders') }}
    union all
    select {{ replace_pattern('order_id', '^.*/', '') }} from {{ changes_of('stg_shopify__orders') }}
  )
  or replace(transaction_id, '#', '') in (
    select replace(order_name, '#', '') from {{ changes_of('stg_shopify__orders') }}
  )
{% endcall -%}
-- which orders a shop's tag means: it sends the order's id, the number at the end of that, or its name with or without the #
with purchases as (
  select * from {{ rows_of('stg_ga4__events', 'event_id') }}
  where event_name = 'purchase'
),

-- three equalities, for an OR cannot be hashed
named as (
  {% for equality in [
    "purchases.transaction_id = orders.order_id",
    "'gid://shopify/Order/' || purchases.transaction_id = orders.order_id",
    "replace(purchases.transaction_id, '#', '') = replace(orders.order_name, '#', '')"
  ] -%}
  select purchases.event_id, orders.order_id
  from purchases
  inner join {{ ref('stg_shopify__orders') }} as orders on {{ equality }}
  {{ 'union distinct' if not loop.last }}
  {% endfor %}
)

select
  purchases.event_id,
  purchases.event_at,
  purchases.user_pseudo_id,
  purchases.session_id,
  purchases.transaction_id,
  purchases.purchase_revenue,
  named.order_id
from purchases
left join named on purchases.event_id = named.event_id
