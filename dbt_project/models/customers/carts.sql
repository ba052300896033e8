{%- set key = 'coalesce(customer_id, cart_id)' -%}
{{ config(kept_by=key, kept_from=[
  'stg_shopify__abandoned_checkouts', 'stg_shopify__abandoned_checkout_lines', 'stg_ga4__items', 'identity_clusters',
  'sessions', 'orders'
]) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('sessions') }} where cart_addition_count > 0
union all
select customer_id from {{ ref('sessions') }}
where session_id in (select session_id from {{ changes_of('stg_ga4__items') }} where event_name = 'add_to_cart')
union all
select customer_id from {{ changes_of('orders') }}
union all
select customer_id from {{ ref('orders') }} where {{ has_passed('ordered_at') }}
union all
select customer_id from {{ changes_of('identity_clusters') }} where record_type = 'shopify.customers'
union all
{# a checkout is its customer's, or its own as long as nobody knows whose it is -#}
select unnest([people.customer_id, changed.checkout_id])
from (
  select checkout_id, shopify_customer_id from {{ changes_of('stg_shopify__abandoned_checkouts') }}
  union all
  select checkout_id, shopify_customer_id from {{ ref('stg_shopify__abandoned_checkouts') }}
  where
    checkout_id in (select checkout_id from {{ changes_of('stg_shopify__abandoned_checkout_lines') }})
    or shopify_customer_id in (
      select record_id from {{ changes_of('identity_clusters') }} where record_type = 'shopify.customers'
    )
) as changed
left join {{ ref('identity_clusters') }} as people
  on people.record_type = 'shopify.customers' and changed.shopify_customer_id = people.record_id
{% endcall -%}
-- a basket somebody filled: a checkout that was left, or additions in a visit that never reached the checkout
with checkout_lines as (
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

checkouts as (
  select
    checkouts.checkout_id as cart_id,
    people.customer_id,
    checkouts.created_at,
    checkouts.updated_at,
    checkouts.completed_at,
    checkouts.currency,
    checkouts.cart_total
  from {{ ref('stg_shopify__abandoned_checkouts') }} as checkouts
  left join {{ ref('identity_clusters') }} as people
    on people.record_type = 'shopify.customers' and checkouts.shopify_customer_id = people.record_id
  where not checkouts.is_deleted
),

visits as (
  select * from {{ rows_of('sessions', 'customer_id') }}
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
    where event_name = 'add_to_cart' and session_id in (select visits.session_id from visits)
  ) as ranked
  group by session_id
),

carts as (
  select
    checkouts.cart_id,
    'shopify' as source,
    checkouts.customer_id,
    checkouts.created_at,
    checkouts.updated_at,
    checkouts.completed_at,
    checkouts.currency,
    checkouts.cart_total,
    coalesce(checkout_lines.item_count, 0) as item_count,
    checkout_lines.top_product
  from /*<*/ checkouts /*>{{ key }}*/ as checkouts
  left join checkout_lines on checkouts.cart_id = checkout_lines.checkout_id
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
  inner join {{ rows_of('orders', 'customer_id') }} as orders
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
