with members as (
  select
    segment,
    customer_id
  from {{ ref('segment_members') }}
),

-- one row a customer and day first: a customer is in many segments
bought as (
  select
    customer_id,
    order_date,
    currency,
    max(case when customer_order_number = 1 then 1 else 0 end) as new_customer_count,
    max(case when not is_cancelled then 1 else 0 end) as customer_count,
    {{ order_sums() }}
  from {{ ref('dated_orders') }}
  where customer_id is not null
  group by customer_id, order_date, currency
),

{% set names = [
  'order_count', 'cancelled_order_count', 'kept_order_count', 'customer_count', 'new_customer_count'
] -%}
{% set sums = ['gross_sales', 'cancelled_sales', 'refunded_sales', 'net_sales'] -%}
sales as (
  select
    members.segment,
    bought.order_date,
    bought.currency,
    {% for name in names + sums[:-1] -%}
    sum(bought.{{ name }}) as {{ name }},
    {% endfor -%}
    sum(bought.net_sales) as net_sales
  from bought
  inner join members on bought.customer_id = members.customer_id
  group by members.segment, bought.order_date, bought.currency
),

segments as (
  select distinct segment
  from members
)

select
  days.activity_date,
  segments.segment,
  days.currency,
  {% for name in names -%}
  {{ counted('sales.' ~ name) }} as {{ name }},
  {% endfor -%}
  {% for name in sums -%}
  {{ summed('sales.' ~ name) }} as {{ name }},
  {% endfor -%}
  {{ ratio('sales.net_sales', 'sales.kept_order_count') }} as average_order_value,
  {{ ratio('sales.customer_count - sales.new_customer_count', 'sales.customer_count') }} as repeat_rate
from {{ ref('shop_days') }} as days
cross join segments
left join sales
  on days.activity_date = sales.order_date and segments.segment = sales.segment and days.currency = sales.currency
