with sales as (
  select * from {{ ref('category_sales') }}
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
