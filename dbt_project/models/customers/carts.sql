{{ config(kept_by='row') }}
-- a basket somebody filled: a checkout that was left, or additions in a visit that never reached the checkout
with checkouts as (
  select * from {{ ref('stg_shopify__abandoned_checkouts') }}
  where not is_deleted
),

checkout_lines as (
  select
    checkout_id,
    sum(quantity) as item_count,
    min_by(title, line_rank) as top_product
  from (
    select
      *,
      row_number() over (partition by checkout_id order by quantity desc, checkout_line_id asc) as line_rank
    from {{ ref('stg_shopify__abandoned_checkout_lines') }}
  ) as ranked
  group by checkout_id
),

accounts as (
  select record_id, customer_id
  from {{ ref('identity_clusters') }}
  where record_type = 'shopify.customers'
),

visits as (
  select * from {{ ref('sessions') }}
  where cart_addition_count > 0 and checkout_count = 0 and purchase_count = 0 and customer_id is not null
),

visit_items as (
  select
    session_id,
    sum(quantity) as item_count,
    {{ money('sum(price * quantity)') }} as cart_total,
    max(event_at) as updated_at,
    min_by(item_name, item_rank) as top_product
  from (
    select
      *,
      row_number() over (partition by session_id order by quantity desc, event_at asc, event_id asc, sku asc) as item_rank
    from {{ ref('stg_ga4__items') }}
    where event_name = 'add_to_cart' and session_id is not null
  ) as ranked
  group by session_id
),

carts as (
  select
    checkouts.checkout_id as cart_id,
    'shopify' as source,
    accounts.customer_id,
    checkouts.created_at,
    checkouts.updated_at,
    checkouts.completed_at,
    checkouts.currency,
    checkouts.cart_total,
    coalesce(checkout_lines.item_count, 0) as item_count,
    checkout_lines.top_product
  from checkouts
  left join checkout_lines on checkouts.checkout_id = checkout_lines.checkout_id
  left join accounts on checkouts.shopify_customer_id = accounts.record_id
  union all
  select
    'ga4.' || visits.session_id,
    'ga4',
    visits.customer_id,
    visits.started_at,
    visit_items.updated_at,
    cast(null as timestamp),
    '{{ var("shop_currency") }}',
    visit_items.cart_total,
    visit_items.item_count,
    visit_items.top_product
  from visits
  inner join visit_items on visits.session_id = visit_items.session_id
),

next_orders as (
  select
    carts.cart_id,
    min(orders.ordered_at) as ordered_at
  from carts
  inner join {{ ref('orders') }} as orders
    on
      carts.customer_id = orders.customer_id
      and carts.created_at <= orders.ordered_at
      and orders.ordered_at <= {{ as_of() }}
  group by carts.cart_id
)

select
  carts.cart_id,
  carts.source,
  carts.customer_id,
  carts.created_at,
  coalesce(carts.updated_at, carts.created_at) as updated_at,
  carts.completed_at,
  next_orders.ordered_at as next_ordered_at,
  carts.completed_at is null and next_orders.ordered_at is null as is_open,
  carts.currency,
  carts.cart_total,
  cast(carts.item_count as bigint) as item_count,
  carts.top_product
from carts
left join next_orders on carts.cart_id = next_orders.cart_id
