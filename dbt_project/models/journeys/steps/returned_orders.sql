{{ config(materialized=kept_table(), kept_by='order_id', kept_from=['orders', 'stg_shopify__refunds']) }}
{% call keys_that_changed() %}
select order_id from {{ changes_of('orders') }}
union all
select order_id from {{ changes_of('stg_shopify__refunds') }}
{% endcall -%}
-- when an order was given back as a whole (cancelled, or refunded in full), and when money last went back
with refunds as (
  select
    orders.order_id,
    orders.order_total,
    refunds.refunded_at,
    sum(refunds.refund_amount) over (
      partition by orders.order_id order by refunds.refunded_at asc, refunds.refund_id asc
      rows between unbounded preceding and current row
    ) as refunded_so_far
  from {{ rows_of('stg_shopify__refunds', 'order_id') }} as refunds
  inner join {{ rows_of('orders', 'order_id') }} as orders on refunds.order_id = orders.order_id
),

refunded as (
  select
    order_id,
    max(refunded_at) as last_refunded_at,
    min(case when order_total > 0 and refunded_so_far >= order_total then refunded_at end) as refunded_in_full_at
  from refunds
  group by order_id
)

select
  orders.order_id,
  refunded.last_refunded_at,
  -- an engine's `least` leaves nulls out
  least(orders.cancelled_at, refunded.refunded_in_full_at) as returned_at
from {{ rows_of('orders', 'order_id') }} as orders
left join refunded on orders.order_id = refunded.order_id
where orders.cancelled_at is not null or refunded.order_id is not null
