{{ config(
  materialized=kept_table(), kept_by=snapshot_key(), kept_from=['snapshot_dates', 'consent_statements'],
  kept_log=past_snapshots()
) }}
{% call keys_that_changed() %}
select 'clock'
union all
select customer_id from {{ changes_of('consent_statements') }}
where stated_at is null or stated_at < {{ newest_past_snapshot() }}
{% endcall -%}
-- what a customer had decided by each snapshot, from the statements made before it. Of a record's statements the sources
-- keep the newest, so a yes that was taken back later is not seen before it was; what came later is never seen.
with statements_then as (
  -- a no of unknown date stands at every moment
  select *
  from {{ rows_then(
    ref('consent_statements'),
    "(facts.stated_at < dates.as_of or (facts.stated_at is null and facts.verdict = 'no'))", ref('snapshot_dates')
  ) }} as statements
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
