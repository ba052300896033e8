with days as (
  select * from {{ ref('shop_days') }}
),

sales as (
  select
    order_date,
    currency,
    {{ order_sums() }},
    {{ customer_sums() }},
    sum(case when is_guest then 1 else 0 end) as guest_order_count,
    sum(case when customer_id is null then 1 else 0 end) as unknown_customer_order_count,
    sum(discount_total) as discount_total,
    sum(tax_total) as tax_total,
    sum(shipping_total) as shipping_total,
    sum(case when customer_order_number = 2 then 1 else 0 end) as second_order_count
  from {{ ref('dated_orders') }}
  group by order_date, currency
),

visits as (
  select
    activity_date,
    sum(session_count) as session_count,
    sum(purchase_session_count) as purchase_session_count
  from {{ ref('dated_visits') }}
  group by activity_date
),

ads as (
  select
    activity_date,
    currency,
    sum(spend) as spend
  from {{ ref('dated_ads') }}
  group by activity_date, currency
),

filled as (
  select
    days.activity_date,
    days.currency,
    {% for name in [
      'order_count', 'cancelled_order_count', 'kept_order_count', 'guest_order_count', 'unknown_customer_order_count',
      'customer_count', 'new_customer_count', 'returning_customer_count', 'second_order_count'
    ] -%}
    {{ counted('sales.' ~ name) }} as {{ name }},
    {% endfor -%}
    {% for name in [
      'gross_sales', 'cancelled_sales', 'refunded_sales', 'net_sales', 'discount_total', 'tax_total', 'shipping_total'
    ] -%}
    {{ summed('sales.' ~ name) }} as {{ name }},
    {% endfor -%}
    {{ counted('visits.session_count') }} as session_count,
    {{ counted('visits.purchase_session_count') }} as purchase_session_count,
    {{ summed('ads.spend') }} as spend
  from days
  left join sales on days.activity_date = sales.order_date and days.currency = sales.currency
  left join visits on days.activity_date = visits.activity_date
  left join ads on days.activity_date = ads.activity_date and days.currency = ads.currency
),

to_date as (
  select
    *,
    sum(new_customer_count) over (
      partition by currency order by activity_date rows between unbounded preceding and current row
    ) as new_customer_count_to_date,
    sum(second_order_count) over (
      partition by currency order by activity_date rows between unbounded preceding and current row
    ) as second_order_count_to_date
  from filled
)

select
  activity_date,
  currency,
  order_count,
  cancelled_order_count,
  kept_order_count,
  guest_order_count,
  unknown_customer_order_count,
  gross_sales,
  cancelled_sales,
  refunded_sales,
  net_sales,
  discount_total,
  tax_total,
  shipping_total,
  {{ ratio('gross_sales', 'order_count') }} as gross_average_order_value,
  {{ ratio('net_sales', 'kept_order_count') }} as average_order_value,
  customer_count,
  new_customer_count,
  returning_customer_count,
  {{ ratio('returning_customer_count', 'customer_count') }} as repeat_rate,
  {{ counted('new_customer_count_to_date') }} as buyer_count_to_date,
  {{ counted('second_order_count_to_date') }} as repeat_buyer_count_to_date,
  {{ ratio('second_order_count_to_date', 'new_customer_count_to_date') }} as repeat_rate_to_date,
  session_count,
  purchase_session_count,
  {{ ratio('purchase_session_count', 'session_count') }} as conversion_rate,
  spend,
  {{ ratio('spend', 'new_customer_count') }} as acquisition_cost,
  {{ ratio('net_sales', 'spend') }} as return_on_ad_spend
from to_date
