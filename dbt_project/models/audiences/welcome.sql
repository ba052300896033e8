-- known for less than 30 days, and nothing ordered yet
select
  customer_id,
  first_seen_at,
  sessions_30d,
  crm_stage
from {{ ref('customer_360') }}
where order_count = 0 and first_seen_at >= {{ days_before(as_of(), 30) }} and first_seen_at < {{ as_of() }}
