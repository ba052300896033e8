-- looked at products between an hour and a week ago, put nothing in a basket, and has ordered nothing since
with visits as (
  select
    *,
    row_number() over (partition by customer_id order by ended_at desc, session_id asc) as visit_rank
  from {{ ref('sessions') }}
  where customer_id is not null and ended_at < {{ as_of() }} and ended_at >= {{ days_before(as_of(), 7) }}
),

due as (
  select
    visits.customer_id,
    visits.ended_at,
    visits.product_view_count
  from visits
  inner join {{ ref('customer_360') }} as customers on visits.customer_id = customers.customer_id
  where
    visits.visit_rank = 1
    and visits.product_view_count > 0
    and visits.cart_addition_count = 0
    and visits.checkout_count = 0
    and visits.purchase_count = 0
    and visits.ended_at < {{ as_of() }} - interval '1' hour
    and coalesce(customers.last_ordered_at < visits.started_at, true)
),

interests as (
  select
    stages.customer_id,
    stages.category,
    row_number() over (
      partition by stages.customer_id order by stages.entered_at desc, stages.category asc
    ) as interest_rank
  from {{ ref('category_journey_stages') }} as stages
  inner join due on stages.customer_id = due.customer_id
  where stages.stage in ('awareness', 'consideration') and stages.cause = 'viewed'
)

select
  due.customer_id,
  due.ended_at as looked_at,
  due.product_view_count,
  interests.category as interest_category
from due
left join interests on due.customer_id = interests.customer_id and interests.interest_rank = 1
