-- the decade of life, where a birthday is known and can be true
select
  customer_id,
  case
    when age_years < 20 then 'under_20'
    when age_years < 30 then '20_to_29'
    when age_years < 40 then '30_to_39'
    when age_years < 50 then '40_to_49'
    when age_years < 60 then '50_to_59'
    when age_years < 70 then '60_to_69'
    else '70_and_over'
  end as part
from {{ ref('customer_360') }}
where age_years between 0 and 115
