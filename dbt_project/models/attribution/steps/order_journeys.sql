{{ config(materialized=kept_table(), kept_by='visitor_id', kept_from=['orders']) }}
{% call keys_that_changed() %}
select coalesce(customer_id, 'order.' || order_id) from {{ changes_of('orders') }}
union all
select coalesce(customer_id, 'order.' || order_id) from {{ ref('orders') }} where {{ has_passed('ordered_at') }}
{% endcall -%}
-- every order up to the as-of time as the end of a journey; one that belongs to nobody is a journey of its own
select
  order_id,
  coalesce(customer_id, 'order.' || order_id) as visitor_id,
  customer_id,
  ordered_at,
  is_cancelled,
  currency,
  net_total,
  row_number() over (partition by coalesce(customer_id, 'order.' || order_id) order by ordered_at asc, order_id asc)
    as journey_number
from {{ rows_of('orders', "coalesce(customer_id, 'order.' || order_id)") }}
where ordered_at < {{ as_of() }}
