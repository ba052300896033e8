-- what a customer had decided by each snapshot, from the statements made before it. Of a record's statements the sources
-- keep the newest, so a yes that was taken back later is not seen before it was; what came later is never seen.
with statements_then as (
  select
    dates.as_of,
    statements.*
  from {{ ref('consent_statements') }} as statements
  inner join {{ ref('snapshot_dates') }} as dates
    on
      statements.stated_at < dates.as_of
      -- a no of unknown date stands at every moment
      or (statements.stated_at is null and statements.verdict = 'no')
),

decided as (
  {{ decide_consent('statements_then', ['as_of', 'customer_id', 'channel']) }}
)

select
  as_of,
  customer_id,
  max(case when channel = 'email' then decision end) as email_decision,
  max(case when channel = 'sms' then decision end) as sms_decision
from decided
group by as_of, customer_id
