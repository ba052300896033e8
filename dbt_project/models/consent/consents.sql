-- what a customer has decided, per channel and purpose; whoever has made no statement has no row, and no row means no
with decided as (
  {{ decide_consent(ref('consent_statements'), ['customer_id', 'channel']) }}
),

objections as (
  select * from {{ ref('ad_objections') }}
),

email as (
  select * from decided
  where channel = 'email'
),

-- ads follow e-mail: who takes the shop's marketing by e-mail may be shown its ads, unless they objected to ads
ads as (
  select
    coalesce(email.customer_id, objections.customer_id) as customer_id,
    'ad' as channel,
    case when email.decision = 'granted' and objections.customer_id is null then 'granted' else 'denied' end as decision,
    case
      when objections.customer_id is not null then 'ads_storage_refused'
      when email.decision = 'granted' then 'email_marketing_granted'
      else 'email_marketing_denied'
    end as reason,
    case when objections.customer_id is not null then 'ga4 ads_storage No' else email.evidence end as evidence,
    coalesce(objections.objected_at, email.decided_at) as decided_at
  from email
  full outer join objections on email.customer_id = objections.customer_id
),

every_channel as (
  select customer_id, channel, decision, reason, evidence, decided_at
  from decided
  union all
  select customer_id, channel, decision, reason, evidence, decided_at
  from ads
)

select
  customer_id,
  channel,
  'marketing' as purpose,
  decision,
  reason,
  evidence,
  decided_at
from every_channel
