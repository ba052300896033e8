-- the fifth of regular buyers that lets discounts take most off its bills
with regulars as (
  select
    customer_id,
    ntile(5) over (order by discount_rate desc, customer_id asc) as discount_quintile
  from {{ ref('customer_snapshots') }}
  where as_of = {{ as_of() }} and order_count >= 3 and discount_rate > 0
)

select customer_id
from regulars
where discount_quintile = 1
