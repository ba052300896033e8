-- who actually buys what a persona was planned to buy, and what they did in the year before the as-of time
{%- set year = "{0} >= " ~ days_before(as_of(), 365) ~ " and {0} < " ~ as_of() %}
with personas as (
  {{ planned_personas() }}
),

persona_categories as (
  {{ persona_categories() }}
),

buyers as (
  select
    personas.persona,
    personas.channel,
    customers.customer_id,
    customers.age_years,
    customers.spend_365d
  from {{ ref('customer_360') }} as customers
  inner join persona_categories on customers.favourite_category = persona_categories.category
  inner join personas on persona_categories.persona = personas.persona
  where customers.spend_365d > 0
),

orders as (
  select
    customer_id,
    count(*) as order_count,
    {{ money('sum(order_total)') }} as order_total
  from {{ ref('orders') }}
  where
    {{ year.format('ordered_at') }}
    and not coalesce(cancelled_at < {{ as_of() }}, false)
    and customer_id in (select buyers.customer_id from buyers)
  group by customer_id
),

sessions as (
  select
    customer_id,
    {{ channel_of('source', 'medium') }} as channel
  from {{ ref('sessions') }}
  where {{ year.format('started_at') }} and customer_id in (select buyers.customer_id from buyers)
),

visits as (
  select
    customer_id,
    channel,
    count(*) as session_count
  from sessions
  group by customer_id, channel
),

visits_by_channel as (
  select
    buyers.persona,
    buyers.customer_id,
    sum(visits.session_count) as session_count,
    sum(case when visits.channel = buyers.channel then visits.session_count else 0 end) as channel_session_count
  from buyers
  inner join visits on buyers.customer_id = visits.customer_id
  group by buyers.persona, buyers.customer_id
),

lines as (
  select
    buyers.persona,
    buyers.customer_id,
    {{ money('sum(lines.line_total)') }} as line_total,
    {{ money('sum(case when persona_categories.category is not null then lines.line_total else 0 end)') }} as category_total
  from {{ ref('order_lines') }} as lines
  inner join buyers on lines.customer_id = buyers.customer_id
  left join persona_categories on buyers.persona = persona_categories.persona and lines.category = persona_categories.category
  where {{ year.format('lines.ordered_at') }}
  group by buyers.persona, buyers.customer_id
)

select
  buyers.*,
  orders.order_count,
  orders.order_total,
  visits_by_channel.session_count,
  visits_by_channel.channel_session_count,
  lines.line_total,
  lines.category_total
from buyers
left join orders on buyers.customer_id = orders.customer_id
left join visits_by_channel
  on buyers.persona = visits_by_channel.persona and buyers.customer_id = visits_by_channel.customer_id
left join lines on buyers.persona = lines.persona and buyers.customer_id = lines.customer_id
