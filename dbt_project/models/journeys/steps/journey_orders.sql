{{ config(
  materialized=kept_table(),
  kept_by="(customer_id, coalesce(category, ''))", kept_from=['orders', 'order_lines', 'returned_orders']
) }}
{% call keys_that_changed() %}
select (customer_id, '') from {{ changes_of('orders') }}
union all
select (customer_id, '') from {{ ref('orders') }}
where order_id in (select order_id from {{ changes_of('returned_orders') }})
union all
select (customer_id, '') from {{ ref('orders') }}
where {{ has_passed('ordered_at') }}
union all
select (customer_id, category) from {{ changes_of('order_lines') }}
union all
select (customer_id, category) from {{ ref('order_lines') }}
where order_id in (select order_id from {{ changes_of('returned_orders') }})
union all
select (customer_id, category) from {{ ref('order_lines') }}
where {{ has_passed('ordered_at') }}
{% endcall -%}
-- orders as the journey counts them: once overall (category null) and once in each category, with the rhythm so far
{%- set in_order = 'over (partition by customer_id, category order by ordered_at asc, order_id asc)' %}
with orders as (
  select
    orders.customer_id,
    cast(null as string) as category,
    orders.order_id,
    orders.ordered_at,
    returned.returned_at
  from {{ rows_of('orders', "(customer_id, '')") }} as orders
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
  from {{ rows_of('order_lines', '(customer_id, category)') }} as lines
  left join {{ ref('returned_orders') }} as returned on lines.order_id = returned.order_id
  where lines.customer_id is not null and lines.ordered_at < {{ as_of() }} and lines.category <> 'uncategorised'
  group by lines.customer_id, lines.category, lines.order_id
),

numbered as (
  select
    *,
    row_number() {{ in_order }} as order_number,
    min(ordered_at) {{ in_order }} as first_ordered_at,
    lag(ordered_at) {{ in_order }} as previous_ordered_at,
    lead(ordered_at) {{ in_order }} as next_ordered_at,
    count(returned_at) over (
      partition by customer_id, category order by ordered_at asc, order_id asc
      rows between unbounded preceding and unbounded following
    ) as return_count
  from orders
),

patient as (
  select
    *,
    {{ seconds_after('ordered_at', journey_patience_seconds('order_number', 'first_ordered_at', 'ordered_at')) }} as silent_at,
    {{ seconds_after(
      'previous_ordered_at', journey_patience_seconds('(order_number - 1)', 'first_ordered_at', 'previous_ordered_at')
    ) }} as previously_silent_at
  from numbered
)

select
  customer_id,
  category,
  order_id,
  ordered_at,
  returned_at,
  silent_at,
  next_ordered_at,
  order_number - return_count as surely_kept_count,
  -- the first order, or one that came only after the silence that made a lapse
  coalesce(ordered_at >= previously_silent_at, true) as is_restart
from patient
