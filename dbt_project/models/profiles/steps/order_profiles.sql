-- what a customer has bought up to the as-of time, and where that puts them among all who have bought
select
  *,
  -- 5 is best; equal customers are put in the order of their ids, so that a rebuild gives the same quintiles
  6 - ntile(5) over (order by last_ordered_at desc, customer_id asc) as recency_quintile,
  6 - ntile(5) over (order by orders_365d desc, customer_id asc) as frequency_quintile,
  6 - ntile(5) over (order by spend_365d desc, customer_id asc) as spend_quintile,
  ntile(10) over (order by spend_365d desc, customer_id asc) as spend_decile
from {{ ref('order_totals') }}
