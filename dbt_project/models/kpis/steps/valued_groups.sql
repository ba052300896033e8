-- whose lifetime value is asked for: every buyer by how they were won and which segments they are in
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

members as (
  select
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
  'segment', members.segment, buyers.customer_id, buyers.currency, buyers.kept_order_count, buyers.lifetime_value
from buyers
inner join members on buyers.customer_id = members.customer_id
