-- buyers of the last year by what they spent: the first tenth, the next two, the next three, the rest
select
  customer_id,
  case
    when spend_decile = 1 then 'platinum'
    when spend_decile <= 3 then 'gold'
    when spend_decile <= 6 then 'silver'
    else 'bronze'
  end as part
from {{ ref('customer_360') }}
where spend_365d > 0
