with orders as (
  select * from {{ ref('dated_orders') }}
  where customer_id is not null and not is_cancelled
),

-- how the customer was won: the last touch of the first order, whatever its currency
acquisitions as (
  select
    customer_id,
    channel as acquisition_channel,
    campaign as acquisition_campaign
  from orders
  where customer_order_number = 1
),

bought as (
  select
    customer_id,
    currency,
    min(order_date) as first_order_date,
    max(order_date) as last_order_date,
    {{ order_sums() }}
  from orders
  group by customer_id, currency
)

select
  bought.customer_id,
  bought.currency,
  acquisitions.acquisition_channel,
  acquisitions.acquisition_campaign,
  bought.first_order_date,
  bought.last_order_date,
  cast(date_trunc('month', bought.first_order_date) as date) as cohort_month,
  {{ counted('bought.kept_order_count') }} as kept_order_count,
  {{ money('bought.gross_sales') }} as gross_sales,
  {{ money('bought.refunded_sales') }} as refunded_sales,
  {{ money('bought.net_sales') }} as lifetime_value,
  {{ ratio('bought.net_sales', 'bought.kept_order_count') }} as average_order_value
from bought
inner join acquisitions on bought.customer_id = acquisitions.customer_id
