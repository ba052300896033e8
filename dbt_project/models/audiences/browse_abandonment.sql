-- looked at products between an hour and a week ago, put nothing in a basket, and has ordered nothing since
with visits as (
  select
    *,
    row_number() over (partition by customer_id order by ended_at desc, session_id asc) as visit_rank
  from {{ ref('sessions') }}
  where customer_id is not null and ended_at < {{ as_of() }}
),

interests as (
  select
    customer_id,
    category,
    row_number() over (partition by customer_id order by entered_at desc, category asc) as interest_rank
  from {{ ref('category_journey_stages') }}
  where stage in ('awareness', 'consideration') and cause = 'viewed'
)

select
  visits.customer_id,
  visits.ended_at as looked_at,
  visits.product_view_count,
  interests.category as interest_category
from visits
inner join {{ ref('customer_360') }} as customers on visits.customer_id = customers.customer_id
left join interests on visits.customer_id = interests.customer_id and interests.interest_rank = 1
where
  visits.visit_rank = 1
  and visits.product_view_count > 0
  and visits.cart_addition_count = 0
  and visits.checkout_count = 0
  and visits.purchase_count = 0
  and visits.ended_at < {{ as_of() }} - interval '1' hour
  and visits.ended_at >= {{ days_before(as_of(), 7) }}
  and coalesce(customers.last_ordered_at < visits.started_at, true)
