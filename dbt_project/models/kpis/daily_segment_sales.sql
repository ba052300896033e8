with segments as (
  select
    segment,
    row_number() over (order by segment) as segment_number
  from (select distinct segment from {{ ref('segment_members') }}) as known
),

-- by number: groups of names take twice the time
members as (
  select
    segments.segment_number,
    members.customer_id
  from {{ ref('segment_members') }} as members
  inner join segments on members.segment = segments.segment
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
    members.segment_number,
    bought.order_date,
    bought.currency,
    {% for name in names + sums[:-1] -%}
    sum(bought.{{ name }}) as {{ name }},
    {% endfor -%}
    sum(bought.net_sales) as net_sales
  from bought
  inner join members on bought.customer_id = members.customer_id
  group by members.segment_number, bought.order_date, bought.currency
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
  on days.activity_date = sales.order_date and segments.segment_number = sales.segment_number and days.currency = sales.currency
