-- the tenth that spent most in a year and is still here
select
  customer_id,
  spend_365d,
  order_count,
  favourite_category
from {{ ref('customer_360') }}
where spend_decile = 1 and spend_365d > 0 and days_since_last_order < 60
