-- the cells of the grid that anybody stands in
select
  recency_quintile,
  frequency_quintile,
  spend_quintile,
  {{ rfm_group('recency_quintile', 'frequency_quintile', 'spend_quintile') }} as rfm_group,
  cast(count(*) as bigint) as customer_count,
  {{ money('sum(spend_365d)') }} as spend_365d
from {{ ref('customer_360') }}
where recency_quintile is not null
group by recency_quintile, frequency_quintile, spend_quintile
