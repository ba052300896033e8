{{ config(materialized=kept_table(), kept_by='customer_id', kept_from=['orders', 'customer_categories']) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('orders') }}
union all
select customer_id from {{ changes_of('customer_categories') }}
{% endcall -%}
-- one order as the features see it: everything here was known the moment it was placed
with baskets as (
  select
    order_id,
    sum(item_count) as item_count,
    count(*) as category_count
  from {{ rows_of('customer_categories', 'customer_id') }}
  group by order_id
),

orders as (
  select
    *,
    lag(ordered_at) over (partition by customer_id order by ordered_at, order_id) as previous_ordered_at,
    lag(ordered_at, 2) over (partition by customer_id order by ordered_at, order_id) as second_previous_ordered_at,
    currency = '{{ var("shop_currency") }}' as is_shop_currency
  from {{ rows_of('orders', 'customer_id') }}
  where customer_id is not null
)

select
  orders.order_id,
  orders.customer_id,
  orders.ordered_at,
  orders.cancelled_at,
  orders.is_guest,
  orders.has_discount,
  -- amounts of other currencies cannot be added to these
  case when orders.is_shop_currency then orders.order_total else {{ money('0') }} end as order_total,
  case when orders.is_shop_currency then orders.discount_total else {{ money('0') }} end as discount_total,
  orders.previous_ordered_at,
  orders.second_previous_ordered_at,
  {{ shop_weekday('orders.ordered_at') }} as weekday,
  extract(hour from {{ shop_time('orders.ordered_at') }}) as hour_of_day,
  coalesce(baskets.item_count, 0) as item_count,
  coalesce(baskets.category_count, 0) as category_count,
  -- hours since the order before it; whole numbers, so that sums of squares are exact on every engine
  cast(floor(cast(
    {{ epoch_seconds('orders.ordered_at') }} - {{ epoch_seconds('orders.previous_ordered_at') }} as double
  ) / 3600) as bigint) as gap_hours
from orders
left join baskets on orders.order_id = baskets.order_id
