{{ config(
  materialized=kept_table(), kept_by='visit_id',
  kept_from=['stg_ga4__items', 'sessions', 'carts', 'stg_shopify__abandoned_checkout_lines', 'stg_shopify__products']
) }}
{% call keys_that_changed() %}
select session_id from {{ changes_of('stg_ga4__items') }}
union all
select session_id from {{ changes_of('sessions') }}
union all
select session_id from {{ ref('stg_ga4__items') }}
where {{ has_passed('event_at') }}
union all
select cart_id from {{ changes_of('carts') }}
union all
select cart_id from {{ ref('carts') }}
where {{ has_passed('created_at') }}
union all
select checkout_id from {{ changes_of('stg_shopify__abandoned_checkout_lines') }}
union all
select checkout_id from {{ ref('stg_shopify__abandoned_checkout_lines') }}
where product_id in (select product_id from {{ changes_of('stg_shopify__products') }})
{% endcall -%}
-- looks and baskets as the journey counts them: of a visit the first two looks and the first basket, overall and in each
-- category
with items as (
  select distinct
    sessions.customer_id,
    items.category,
    items.session_id,
    items.event_id,
    items.event_at,
    case items.event_name when 'view_item' then 'viewed' else 'carted' end as kind
  from {{ rows_of('stg_ga4__items', 'session_id') }} as items
  inner join {{ rows_of('sessions', 'session_id') }} as sessions on items.session_id = sessions.session_id
  where
    items.event_name in ('view_item', 'add_to_cart', 'begin_checkout')
    and items.event_at < {{ as_of() }}
    and sessions.customer_id is not null
),

checkouts as (
  select
    carts.customer_id,
    products.category,
    carts.cart_id as event_id,
    carts.created_at as event_at
  from {{ rows_of('carts', 'cart_id') }} as carts
  inner join {{ rows_of('stg_shopify__abandoned_checkout_lines', 'checkout_id') }} as lines on carts.cart_id = lines.checkout_id
  left join {{ ref('stg_shopify__products') }} as products on lines.product_id = products.product_id
  where carts.customer_id is not null and carts.created_at < {{ as_of() }}
),

seen as (
  select customer_id, category, session_id, event_id, event_at, kind
  from items
  where category <> 'uncategorised'
  union all
  select distinct customer_id, cast(null as string), session_id, event_id, event_at, kind
  from items
),

ranked as (
  select
    *,
    row_number() over (partition by customer_id, category, session_id, kind order by event_at asc, event_id asc) as place
  from seen
)

select customer_id, category, session_id as visit_id, event_id, event_at, kind
from ranked
where place = 1 or (place = 2 and kind = 'viewed')
union all
select distinct customer_id, category, event_id as visit_id, event_id, event_at, 'carted'
from checkouts
where category <> 'uncategorised'
union all
select distinct customer_id, cast(null as string), event_id as visit_id, event_id, event_at, 'carted'
from checkouts
