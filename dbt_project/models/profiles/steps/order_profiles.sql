-- what a customer has bought up to the as-of time, and where that puts them among all who have bought
with orders as (
  select * from {{ ref('orders') }}
  where customer_id is not null and ordered_at < {{ as_of() }} and (cancelled_at is null or cancelled_at >= {{ as_of() }})
),

totals as (
  select
    customer_id,
    count(*) as order_count,
    min(ordered_at) as first_ordered_at,
    max(ordered_at) as last_ordered_at,
    {{ money('sum(net_total)') }} as lifetime_spend,
    {{ money('sum(case when ordered_at >= ' ~ days_before(as_of(), 365) ~ ' then net_total else 0 end)') }} as spend_365d,
    sum(case when ordered_at >= {{ days_before(as_of(), 365) }} then 1 else 0 end) as orders_365d,
    {{ money('sum(refunded_total)') }} as refunded_total,
    sum(case when has_discount then 1 else 0 end) as discount_order_count
  from orders
  group by customer_id
)

select
  *,
  -- 5 is best; equal customers are put in the order of their ids, so that a rebuild gives the same quintiles
  6 - ntile(5) over (order by last_ordered_at desc, customer_id asc) as recency_quintile,
  6 - ntile(5) over (order by orders_365d desc, customer_id asc) as frequency_quintile,
  6 - ntile(5) over (order by spend_365d desc, customer_id asc) as spend_quintile,
  ntile(10) over (order by spend_365d desc, customer_id asc) as spend_decile
from totals
