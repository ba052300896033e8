-- the tenth that spent most in a year and has ordered within 60 days
select customer_id
from {{ ref('customer_360') }}
where spend_decile = 1 and spend_365d > 0 and days_since_last_order < 60
