-- known for a month or more, never bought, and has looked at something within half a year
with customers as (
  select
    customer_id,
    last_visited_at
  from {{ ref('customer_360') }}
  where
    order_count = 0
    and first_seen_at < {{ days_before(as_of(), 30) }}
    and last_visited_at >= {{ days_before(as_of(), 180) }}
),

interests as (
  select
    stages.customer_id,
    stages.category,
    stages.stage,
    row_number() over (
      partition by stages.customer_id order by stages.entered_at desc, stages.category asc
    ) as interest_rank
  from {{ ref('category_journey_stages') }} as stages
  inner join customers on stages.customer_id = customers.customer_id
  where stages.stage in ('awareness', 'consideration', 'decision')
)

select
  customers.customer_id,
  interests.category as interest_category,
  interests.stage as interest_stage,
  customers.last_visited_at
from customers
inner join interests on customers.customer_id = interests.customer_id and interests.interest_rank = 1
