{{ config(
  materialized=kept_table(), kept_by="coalesce(customer_id, 'order.' || order_id)", kept_from=['orders', 'order_paths']
) }}
{% call keys_that_changed() %}
select coalesce(customer_id, 'order.' || order_id) from {{ changes_of('orders') }}
union all
select coalesce(customer_id, 'order.' || order_id) from {{ ref('orders') }}
where order_id in (select order_id from {{ changes_of('order_paths') }})
{% endcall -%}
-- the orders up to the as-of time by the shop's days, each with its place among the customer's and the channel of its last touch
with last_touches as (
  select
    order_id,
    channel,
    campaign
  from {{ ref('order_paths') }}
  where touch_number = touch_count
),

orders as (
  select
    orders.*,
    {{ shop_date('orders.ordered_at') }} as order_date,
    last_touches.channel,
    last_touches.campaign
  from {{ rows_of('orders', "coalesce(customer_id, 'order.' || order_id)") }} as orders
  inner join last_touches on orders.order_id = last_touches.order_id
),

-- a cancelled order makes nobody a customer
numbered as (
  select
    order_id,
    row_number() over (partition by customer_id order by ordered_at asc, order_id asc) as customer_order_number,
    min(order_date) over (partition by customer_id) as first_order_date,
    min(order_date) over (partition by customer_id, currency) as first_order_date_in_currency
  from orders
  where customer_id is not null and not is_cancelled
)

select
  orders.order_id,
  orders.order_name,
  orders.customer_id,
  orders.ordered_at,
  orders.order_date,
  orders.currency,
  orders.is_cancelled,
  orders.is_guest,
  orders.source_name,
  orders.order_total,
  orders.discount_total,
  orders.tax_total,
  orders.shipping_total,
  orders.net_total,
  case when orders.is_cancelled then {{ money('0') }} else orders.order_total - orders.net_total end as refunded_sales,
  orders.channel,
  orders.campaign,
  numbered.customer_order_number,
  numbered.first_order_date,
  numbered.first_order_date_in_currency
from orders
left join numbered on orders.order_id = numbered.order_id
