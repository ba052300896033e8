-- good customers about to be lost: late by their own rhythm, or likely to stay away
select customer_id
from {{ ref('customer_360') }}
where
  order_count >= 2
  and lifecycle_stage <> 'lost'
  and (lifecycle_stage = 'at_risk' or coalesce(churn_probability >= 0.5, false))
