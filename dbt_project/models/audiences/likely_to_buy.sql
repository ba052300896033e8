-- the fifth most likely to order within 30 days, when likelier than not
with scored as (
  select
    *,
    ntile(5) over (order by purchase_probability desc, customer_id asc) as probability_quintile
  from {{ ref('customer_360') }}
  where purchase_probability is not null
)

select
  customer_id,
  purchase_probability,
  next_best_category,
  next_category_probability,
  days_since_last_order
from scored
where probability_quintile = 1 and purchase_probability >= 0.5
