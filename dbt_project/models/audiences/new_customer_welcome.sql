-- first order within the last 30 days
select
  customer_id,
  first_ordered_at,
  order_count,
  favourite_category
from {{ ref('customer_360') }}
where days_since_first_order < 30
