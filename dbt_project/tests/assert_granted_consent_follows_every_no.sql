{{ config(meta={'dagster': {'ref': {'name': 'consents'}}}) }}
-- written against the statements and not by the rule's own code: whoever is granted has a yes, and after each no there
-- came a later yes of their own
with yes as (
  select customer_id, channel, max(case when is_own_act then stated_at end) as own_yes_at, count(*) as yes_count
  from {{ ref('consent_statements') }}
  where verdict = 'yes'
  group by customer_id, channel
),

no as (
  select customer_id, channel, max(coalesce(stated_at, cast('9999-01-01 00:00:00' as timestamp))) as no_at
  from {{ ref('consent_statements') }}
  where verdict = 'no'
  group by customer_id, channel
)

select consents.customer_id, consents.channel
from {{ ref('consents') }} as consents
left join yes on consents.customer_id = yes.customer_id and yes.channel = case when consents.channel = 'ad' then 'email' else consents.channel end
left join no on consents.customer_id = no.customer_id and no.channel = case when consents.channel = 'ad' then 'email' else consents.channel end
where
  consents.decision = 'granted'
  and (
    coalesce(yes.yes_count, 0) = 0
    or (no.no_at is not null and coalesce(yes.own_yes_at <= no.no_at, true))
  )
