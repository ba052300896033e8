{{ config(kept_by='(customer_id, category)', kept_from=['journey_orders'], kept_log=false) }}
{% call keys_that_changed() %}
select (customer_id, category) from {{ changes_of('journey_orders') }}
union all
select (customer_id, category) from {{ ref('journey_orders') }}
where {{ has_passed('returned_at') }}
{% endcall -%}
-- how regularly a customer buys in a category, and when the next time is due
with orders as (
  select * from {{ rows_of('journey_orders', '(customer_id, category)') }}
  where category is not null
),

kept as (
  select
    customer_id,
    category,
    count(*) as order_count,
    min(ordered_at) as first_ordered_at,
    max(ordered_at) as last_ordered_at
  from orders
  where returned_at is null or returned_at >= {{ as_of() }}
  group by customer_id, category
),

paced as (
  select
    *,
    cast(floor(
      cast({{ epoch_seconds('last_ordered_at') }} - {{ epoch_seconds('first_ordered_at') }} as double) / (order_count - 1)
    ) as bigint) as gap_seconds
  from kept
  where order_count >= 2
)

select
  customer_id,
  category,
  cast(order_count as bigint) as order_count,
  first_ordered_at,
  last_ordered_at,
  {{ ratio('gap_seconds', '86400') }} as mean_gap_days,
  {{ seconds_after('last_ordered_at', 'gap_seconds') }} as next_due_at
from paced
