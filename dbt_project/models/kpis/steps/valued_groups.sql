-- whose lifetime value is asked for: every buyer by how they were won, what they bought and which segments they are in
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

categories as (
  select
    baskets.category,
    orders.customer_id,
    orders.currency,
    count(*) as kept_order_count,
    sum(baskets.net_line_total) as lifetime_value
  from {{ ref('order_baskets') }} as baskets
  inner join {{ ref('dated_orders') }} as orders on baskets.order_id = orders.order_id
  where orders.customer_id is not null and not orders.is_cancelled
  group by baskets.category, orders.customer_id, orders.currency
),

members as (
  select distinct
    segment,
    customer_id
  from {{ ref('segment_members') }}
)

select
  'all' as dimension, 'all' as member, customer_id, currency, kept_order_count, lifetime_value
from buyers
union all
select
  'channel', acquisition_channel, customer_id, currency, kept_order_count, lifetime_value
from buyers
union all
select
  'campaign', acquisition_campaign, customer_id, currency, kept_order_count, lifetime_value
from buyers
where acquisition_campaign is not null
union all
select
  'category', category, customer_id, currency, kept_order_count, lifetime_value
from categories
union all
select
  'segment', members.segment, buyers.customer_id, buyers.currency, buyers.kept_order_count, buyers.lifetime_value
from buyers
inner join members on buyers.customer_id = members.customer_id
