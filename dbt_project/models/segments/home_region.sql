-- the prefecture or state of the home address, where it is known
select
  customer_id,
  region as part
from {{ ref('customer_360') }}
where region is not null
