-- orders that hold something mostly given away (cards and wrapping, flowers, gift baskets). The shop's data has no gift
-- flag and no second recipient, so this sees gifts by what is bought and misses the bottle of wine that was one too.
with gift_categories as (
  select distinct category
  from {{ ref('stg_shopify__products') }}
  where {{ matches_pattern('upper(category)', var('gift_category_pattern')) }}
),

gift_orders as (
  select distinct
    purchases.customer_id,
    purchases.order_id
  from {{ ref('customer_categories') }} as purchases
  inner join gift_categories on purchases.category = gift_categories.category
  where purchases.ordered_at < {{ as_of() }}
)

select
  gift_orders.customer_id,
  count(*) as gift_order_count,
  max(orders.ordered_at) as last_gift_ordered_at
from gift_orders
inner join {{ ref('orders') }} as orders on gift_orders.order_id = orders.order_id
where orders.cancelled_at is null or orders.cancelled_at >= {{ as_of() }}
group by gift_orders.customer_id
