with valued as (
  select
    dimension,
    member,
    currency,
    count(*) as customer_count,
    sum(kept_order_count) as kept_order_count,
    sum(lifetime_value) as lifetime_value
  from {{ ref('valued_groups') }}
  group by dimension, member, currency
  union all
  select
    'category',
    category,
    currency,
    count(*),
    sum(kept_order_count),
    sum(lifetime_value)
  from {{ ref('category_values') }}
  group by category, currency
),

-- what was paid to win them, where it was paid for a channel or a campaign
ads as (
  select
    'all' as dimension, 'all' as member, currency, sum(spend) as spend
  from {{ ref('dated_ads') }}
  group by currency
  union all
  select
    'channel', channel, currency, sum(spend)
  from {{ ref('dated_ads') }}
  group by channel, currency
  union all
  select
    'campaign', campaign, currency, sum(spend)
  from {{ ref('dated_ads') }}
  group by campaign, currency
)

select
  valued.dimension,
  valued.member,
  valued.currency,
  valued.customer_count,
  {{ counted('valued.kept_order_count') }} as kept_order_count,
  {{ money('valued.lifetime_value') }} as lifetime_value,
  {{ ratio('valued.kept_order_count', 'valued.customer_count') }} as orders_per_customer,
  {{ ratio('valued.lifetime_value', 'valued.customer_count') }} as value_per_customer,
  {{ money('ads.spend') }} as spend,
  {{ ratio('ads.spend', 'valued.customer_count') }} as acquisition_cost,
  {{ ratio('valued.lifetime_value', 'ads.spend') }} as value_to_cost_ratio
from valued
left join ads
  on valued.dimension = ads.dimension and valued.member = ads.member and valued.currency = ads.currency
