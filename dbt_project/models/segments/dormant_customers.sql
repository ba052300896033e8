-- bought once or more, lapsed by their own rhythm, and not seen on the site for 30 days either
select stages.customer_id
from {{ ref('journey_stages') }} as stages
inner join {{ ref('customer_360') }} as customers on stages.customer_id = customers.customer_id
where
  stages.stage = 'lapse'
  and coalesce(customers.last_visited_at < {{ days_before(as_of(), 30) }}, true)
