{{ config(
  materialized=kept_table(), kept_by=snapshot_key(), kept_from=['snapshot_dates', 'email_events'],
  kept_log=past_snapshots()
) }}
{% call keys_that_changed() %}
select 'clock'
union all
select customer_id from {{ changes_of('email_events') }} where occurred_at < {{ newest_past_snapshot() }}
{% endcall -%}
-- campaigns a customer had opened and clicked in by a snapshot, without what machines do
select
  as_of,
  customer_id,
  count(distinct case when event_type = 'opened' then campaign_id end) as emails_opened_90d,
  count(distinct case when event_type = 'clicked' then campaign_id end) as emails_clicked_90d
from {{ rows_then(
  ref('email_events'), 'facts.occurred_at < dates.as_of and facts.occurred_at >= ' ~ days_before('dates.as_of', 90),
  ref('snapshot_dates')
) }} as events_then
where customer_id is not null and not coalesce(is_automatic, false)
group by as_of, customer_id
