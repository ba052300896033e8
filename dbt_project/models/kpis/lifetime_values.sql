-- whose value is asked for: every buyer by how they were won and which segments they are in
with buyers as (
  select
    customer_id,
    currency,
    acquisition_channel,
    acquisition_campaign,
    kept_order_count,
    lifetime_value
  from {{ ref('customer_values') }}
),

{% set sums = 'count(*) as customer_count, sum(kept_order_count) as kept_order_count, sum(lifetime_value) as lifetime_value' -%}
valued as (
  select 'all' as dimension, 'all' as member, currency, {{ sums }}
  from buyers
  group by currency
  union all
  select 'channel', acquisition_channel, currency, {{ sums }}
  from buyers
  group by acquisition_channel, currency
  union all
  select 'campaign', acquisition_campaign, currency, {{ sums }}
  from buyers
  where acquisition_campaign is not null
  group by acquisition_campaign, currency
  union all
  select 'segment', members.segment, buyers.currency, {{ sums }}
  from buyers
  inner join {{ ref('segment_members') }} as members on buyers.customer_id = members.customer_id
  group by members.segment, buyers.currency
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
