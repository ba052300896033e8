-- loyal once, silent now: three orders or more, none for 30 days, and likely to stay away
select
  customer_id,
  churn_probability,
  days_since_last_order,
  order_count,
  lifetime_spend,
  favourite_category
from {{ ref('customer_360') }}
where
  order_count >= 3
  and days_since_last_order >= 30
  -- before anything has been scored, two months of silence stand for a likely loss
  and coalesce(churn_probability >= 0.5, days_since_last_order >= 60)
