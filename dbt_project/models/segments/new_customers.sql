-- first order within the last 30 days
select customer_id
from {{ ref('customer_360') }}
where days_since_first_order < 30
