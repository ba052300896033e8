-- known for a month or more, never bought, and has looked at something within half a year
with interests as (
  select
    customer_id,
    category,
    stage,
    row_number() over (partition by customer_id order by entered_at desc, category asc) as interest_rank
  from {{ ref('category_journey_stages') }}
  where stage in ('awareness', 'consideration', 'decision')
)

select
  customers.customer_id,
  interests.category as interest_category,
  interests.stage as interest_stage,
  customers.last_visited_at
from {{ ref('customer_360') }} as customers
inner join interests on customers.customer_id = interests.customer_id and interests.interest_rank = 1
where
  customers.order_count = 0
  and customers.first_seen_at < {{ days_before(as_of(), 30) }}
  and customers.last_visited_at >= {{ days_before(as_of(), 180) }}
