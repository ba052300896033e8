-- where every customer stands with the shop, silence measured by their own rhythm
select
  customer_id,
  lifecycle_stage as part
from {{ ref('customer_360') }}
