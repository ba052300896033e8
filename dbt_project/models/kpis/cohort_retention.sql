with customers as (
  select
    customer_id,
    currency,
    cohort_month
  from {{ ref('customer_values') }}
),

cohorts as (
  select
    cohort_month,
    currency,
    count(*) as customer_count
  from customers
  group by cohort_month, currency
),

months as (
  select distinct cast(date_trunc('month', activity_date) as date) as order_month
  from {{ ref('shop_days') }}
),

active as (
  select
    customers.cohort_month,
    customers.currency,
    cast(date_trunc('month', orders.order_date) as date) as order_month,
    count(distinct orders.customer_id) as active_customer_count,
    count(*) as kept_order_count,
    sum(orders.net_total) as net_sales
  from {{ ref('dated_orders') }} as orders
  inner join customers on orders.customer_id = customers.customer_id and orders.currency = customers.currency
  where not orders.is_cancelled
  group by customers.cohort_month, customers.currency, cast(date_trunc('month', orders.order_date) as date)
),

filled as (
  select
    cohorts.cohort_month,
    cohorts.currency,
    months.order_month,
    {{ months_between_days('cohorts.cohort_month', 'months.order_month') }} as month_number,
    {{ counted('cohorts.customer_count') }} as customer_count,
    {{ counted('active.active_customer_count') }} as active_customer_count,
    {{ counted('active.kept_order_count') }} as kept_order_count,
    {{ summed('active.net_sales') }} as net_sales
  from cohorts
  inner join months on cohorts.cohort_month <= months.order_month
  left join active
    on
      cohorts.cohort_month = active.cohort_month and cohorts.currency = active.currency
      and months.order_month = active.order_month
),

to_date as (
  select
    *,
    sum(net_sales) over (
      partition by cohort_month, currency order by order_month rows between unbounded preceding and current row
    ) as net_sales_to_date
  from filled
)

select
  cohort_month,
  currency,
  month_number,
  order_month,
  {{ months_between_days('order_month', shop_date(as_of())) }} > 0 as is_complete,
  customer_count,
  active_customer_count,
  {{ ratio('active_customer_count', 'customer_count') }} as retention_rate,
  kept_order_count,
  net_sales,
  {{ money('net_sales_to_date') }} as net_sales_to_date,
  {{ ratio('net_sales_to_date', 'customer_count') }} as value_per_customer_to_date
from to_date
