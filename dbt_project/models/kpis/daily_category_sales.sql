with sales as (
  select
    orders.order_date,
    orders.currency,
    baskets.category,
    count(*) as order_count,
    sum(case when orders.is_cancelled then 0 else 1 end) as kept_order_count,
    count(distinct case when not orders.is_cancelled then orders.customer_id end) as customer_count,
    sum(baskets.item_count) as item_count,
    sum(baskets.kept_item_count) as kept_item_count,
    sum(baskets.line_total) as gross_sales,
    sum(case when orders.is_cancelled then baskets.line_total else 0 end) as cancelled_sales,
    sum(case when orders.is_cancelled then 0 else baskets.line_total - baskets.net_line_total end) as returned_sales,
    sum(baskets.net_line_total) as net_sales
  from {{ ref('order_baskets') }} as baskets
  inner join {{ ref('dated_orders') }} as orders on baskets.order_id = orders.order_id
  group by orders.order_date, orders.currency, baskets.category
),

sold as (
  select distinct
    category,
    currency
  from sales
),

days as (
  select
    days.activity_date,
    days.currency,
    sold.category
  from {{ ref('shop_days') }} as days
  inner join sold on days.currency = sold.currency
),

whole_days as (
  select
    activity_date,
    currency,
    net_sales
  from {{ ref('daily_sales') }}
)

select
  days.activity_date,
  days.category,
  days.currency,
  {% for name in ['order_count', 'kept_order_count', 'customer_count', 'item_count', 'kept_item_count'] -%}
  {{ counted('sales.' ~ name) }} as {{ name }},
  {% endfor -%}
  {% for name in ['gross_sales', 'cancelled_sales', 'returned_sales', 'net_sales'] -%}
  {{ summed('sales.' ~ name) }} as {{ name }},
  {% endfor -%}
  {{ ratio('sales.net_sales', 'sales.kept_order_count') }} as average_order_value,
  {{ ratio('coalesce(sales.net_sales, 0)', 'whole_days.net_sales') }} as sales_share
from days
left join sales
  on days.activity_date = sales.order_date and days.category = sales.category and days.currency = sales.currency
inner join whole_days on days.activity_date = whole_days.activity_date and days.currency = whole_days.currency
