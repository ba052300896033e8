{{ config(kept_by='customer_id', kept_from=['orders'], kept_log=false) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('orders') }}
union all
select customer_id from {{ ref('orders') }} where {{ has_passed('ordered_at', [0, 365]) }}
union all
select customer_id from {{ ref('orders') }} where {{ has_passed('cancelled_at') }}
{% endcall -%}
-- money of different currencies side by side: nothing is converted, nothing is added up across them
with orders as (
  select
    *,
    cancelled_at is null or cancelled_at >= {{ as_of() }} as is_kept
  from {{ rows_of('orders', 'customer_id') }}
  where customer_id is not null and ordered_at < {{ as_of() }}
)

select
  customer_id,
  currency,
  cast(count(*) as bigint) as placed_order_count,
  cast(sum(case when is_kept then 1 else 0 end) as bigint) as order_count,
  {{ money('sum(net_total)') }} as lifetime_spend,
  {{ money('sum(case when ordered_at >= ' ~ days_before(as_of(), 365) ~ ' then net_total else 0 end)') }} as spend_365d,
  {{ money('sum(case when is_kept then refunded_total else 0 end)') }} as refunded_total,
  {{ ratio('sum(net_total)', 'sum(case when is_kept then 1 else 0 end)') }} as mean_order_value,
  {{ money('max(net_total)') }} as largest_order_total,
  min(ordered_at) as first_ordered_at,
  max(ordered_at) as last_ordered_at
from orders
group by customer_id, currency
