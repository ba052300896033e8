-- what a customer is drawn to: the three categories they bought most in a year, and what they are considering now
with favourites as (
  select customer_id, favourite_category as part
  from {{ ref('customer_360') }}
  union distinct
  select customer_id, second_category
  from {{ ref('customer_360') }}
  union distinct
  select customer_id, third_category
  from {{ ref('customer_360') }}
  union distinct
  select customer_id, category
  from {{ ref('category_journey_stages') }}
  where stage in ('consideration', 'decision')
)

select
  customer_id,
  part
from favourites
where part is not null
