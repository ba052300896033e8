-- orders as the journey counts them: once overall (category null) and once in each category, with the rhythm so far
with orders as (
  select
    orders.customer_id,
    cast(null as string) as category,
    orders.order_id,
    orders.ordered_at,
    returned.returned_at
  from {{ ref('orders') }} as orders
  left join {{ ref('returned_orders') }} as returned on orders.order_id = returned.order_id
  where orders.customer_id is not null and orders.ordered_at < {{ as_of() }}
  union all
  select
    lines.customer_id,
    lines.category,
    lines.order_id,
    min(lines.ordered_at),
    -- nothing of the category was kept: given back with the last refund at the latest
    coalesce(min(returned.returned_at), case when sum(lines.current_quantity) <= 0 then min(returned.last_refunded_at) end)
  from {{ ref('order_lines') }} as lines
  left join {{ ref('returned_orders') }} as returned on lines.order_id = returned.order_id
  where lines.customer_id is not null and lines.ordered_at < {{ as_of() }} and lines.category <> 'uncategorised'
  group by lines.customer_id, lines.category, lines.order_id
),

numbered as (
  select
    *,
    row_number() over (partition by customer_id, category order by ordered_at asc, order_id asc) as order_number,
    min(ordered_at) over (partition by customer_id, category) as first_ordered_at,
    count(returned_at) over (partition by customer_id, category) as return_count
  from orders
),

rhythm as (
  select
    *,
    {{ seconds_after('ordered_at', journey_patience_seconds('order_number', 'first_ordered_at', 'ordered_at')) }} as silent_at
  from numbered
)

select
  customer_id,
  category,
  order_id,
  ordered_at,
  returned_at,
  silent_at,
  order_number - return_count as surely_kept_count,
  lead(ordered_at) over (partition by customer_id, category order by ordered_at asc, order_id asc) as next_ordered_at,
  -- the first order, or one that came only after the silence that made a lapse
  coalesce(
    ordered_at >= lag(silent_at) over (partition by customer_id, category order by ordered_at asc, order_id asc), true
  ) as is_restart
from rhythm
