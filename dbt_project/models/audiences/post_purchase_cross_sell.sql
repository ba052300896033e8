-- an order arrived within the last month: what the customer is likeliest to want next and does not buy anyway
with candidates as (
  select
    customers.customer_id,
    scores.category as next_category,
    scores.purchase_probability as next_category_probability,
    customers.last_ordered_at,
    row_number() over (
      partition by customers.customer_id order by scores.purchase_probability desc, scores.category asc
    ) as category_rank
  from {{ ref('customer_360') }} as customers
  inner join {{ ref('stg_scores__propensity') }} as scores
    on customers.customer_id = scores.customer_id and scores.category <> 'any'
  left join {{ ref('category_journey_stages') }} as stages
    on customers.customer_id = stages.customer_id and scores.category = stages.category
  where
    customers.days_since_last_order between {{ var('journey_arrival_days') }} and 30
    and coalesce(stages.stage not in ('purchase', 'loyalty'), true)
)

select
  customer_id,
  next_category,
  next_category_probability,
  last_ordered_at
from candidates
where category_rank = 1
