with days as (
  {% for channel in channels() + ['unattributed'] -%}
  select
    activity_date, currency, '{{ channel }}' as channel
  from {{ ref('shop_days') }}
  {{ 'union all' if not loop.last }}
  {% endfor %}
),

sales as (
  select
    order_date,
    channel,
    currency,
    {{ order_sums() }},
    {{ customer_sums() }}
  from {{ ref('dated_orders') }}
  group by order_date, channel, currency
),

visits as (
  select
    activity_date,
    channel,
    sum(session_count) as session_count,
    sum(purchase_session_count) as purchase_session_count
  from {{ ref('dated_visits') }}
  group by activity_date, channel
),

ads as (
  select
    activity_date,
    channel,
    currency,
    sum(impression_count) as impression_count,
    sum(click_count) as click_count,
    sum(spend) as spend
  from {{ ref('dated_ads') }}
  group by activity_date, channel, currency
),

filled as (
  select
    days.activity_date,
    days.channel,
    days.currency,
    {{ counted('visits.session_count') }} as session_count,
    {{ counted('visits.purchase_session_count') }} as purchase_session_count,
    {% for name in [
      'order_count', 'cancelled_order_count', 'kept_order_count', 'customer_count', 'new_customer_count',
      'returning_customer_count'
    ] -%}
    {{ counted('sales.' ~ name) }} as {{ name }},
    {% endfor -%}
    {% for name in ['gross_sales', 'cancelled_sales', 'refunded_sales', 'net_sales'] -%}
    {{ summed('sales.' ~ name) }} as {{ name }},
    {% endfor -%}
    {{ counted('ads.impression_count') }} as impression_count,
    {{ counted('ads.click_count') }} as click_count,
    {{ summed('ads.spend') }} as spend
  from days
  left join sales
    on days.activity_date = sales.order_date and days.channel = sales.channel and days.currency = sales.currency
  left join visits on days.activity_date = visits.activity_date and days.channel = visits.channel
  left join ads
    on days.activity_date = ads.activity_date and days.channel = ads.channel and days.currency = ads.currency
)

select
  activity_date,
  channel,
  currency,
  session_count,
  purchase_session_count,
  {{ ratio('purchase_session_count', 'session_count') }} as conversion_rate,
  order_count,
  cancelled_order_count,
  kept_order_count,
  gross_sales,
  cancelled_sales,
  refunded_sales,
  net_sales,
  {{ ratio('net_sales', 'kept_order_count') }} as average_order_value,
  customer_count,
  new_customer_count,
  returning_customer_count,
  {{ ratio('returning_customer_count', 'customer_count') }} as repeat_rate,
  impression_count,
  click_count,
  spend,
  {{ ratio('spend', 'click_count') }} as cost_per_click,
  {{ ratio('spend', 'new_customer_count') }} as acquisition_cost,
  {{ ratio('net_sales', 'spend') }} as return_on_ad_spend
from filled
