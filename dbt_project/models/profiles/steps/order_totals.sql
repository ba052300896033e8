{{ config(materialized=kept_table(), kept_by='customer_id', kept_from=['orders']) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('orders') }}
union all
select customer_id from {{ ref('orders') }} where {{ has_passed('ordered_at', [0, 365]) }}
union all
select customer_id from {{ ref('orders') }} where {{ has_passed('cancelled_at') }}
{% endcall -%}
-- what a customer has bought up to the as-of time
with orders as (
  select
    *,
    cancelled_at is null or cancelled_at >= {{ as_of() }} as is_kept,
    -- amounts of other currencies are not added to the shop's own; customer_currency_spend has them
    case when currency = '{{ var("shop_currency") }}' then net_total end as shop_net_total,
    case when currency = '{{ var("shop_currency") }}' then refunded_total end as shop_refunded_total,
    case when currency = '{{ var("shop_currency") }}' then order_total end as shop_order_total
  from {{ rows_of('orders', 'customer_id') }}
  where customer_id is not null and ordered_at < {{ as_of() }}
),

cancellations as (
  select
    customer_id,
    count(*) as placed_order_count,
    sum(case when is_kept then 0 else 1 end) as cancelled_order_count
  from orders
  group by customer_id
),

totals as (
  select
    customer_id,
    count(*) as order_count,
    min(ordered_at) as first_ordered_at,
    max(ordered_at) as last_ordered_at,
    {{ money('coalesce(sum(shop_net_total), 0)') }} as lifetime_spend,
    {{ money('coalesce(sum(case when ordered_at >= ' ~ days_before(as_of(), 365) ~ ' then shop_net_total end), 0)') }}
      as spend_365d,
    sum(case when ordered_at >= {{ days_before(as_of(), 365) }} then 1 else 0 end) as orders_365d,
    {{ money('coalesce(sum(shop_refunded_total), 0)') }} as refunded_total,
    sum(case when has_discount then 1 else 0 end) as discount_order_count,
    sum(case when nullif(discount_codes, '') is not null then 1 else 0 end) as coupon_order_count,
    sum(case when refunded_total > 0 then 1 else 0 end) as refunded_order_count,
    sum(case when is_guest then 1 else 0 end) as guest_order_count,
    count(shop_net_total) as shop_currency_order_count,
    {{ money('coalesce(sum(shop_order_total), 0)') }} as ordered_total,
    {{ money('max(shop_net_total)') }} as largest_order_total,
    count(distinct currency) as currency_count
  from orders
  where is_kept
  group by customer_id
)

select
  totals.*,
  cancellations.placed_order_count,
  cancellations.cancelled_order_count
from totals
inner join cancellations on totals.customer_id = cancellations.customer_id
