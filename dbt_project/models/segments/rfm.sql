-- where a buyer stands in the grid of recency, frequency and spend, by the grid's named groups
select
  customer_id,
  {{ rfm_group('recency_quintile', 'frequency_quintile', 'spend_quintile') }} as part
from {{ ref('customer_360') }}
where recency_quintile is not null
