-- the first order has arrived and the second is still to come
select
  stages.customer_id,
  customers.first_ordered_at,
  customers.favourite_category
from {{ ref('journey_stages') }} as stages
inner join {{ ref('customer_360') }} as customers on stages.customer_id = customers.customer_id
where stages.stage = 'evaluation' and customers.order_count = 1 and customers.days_since_first_order < 60
