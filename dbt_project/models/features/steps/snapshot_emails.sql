-- campaigns a customer had opened and clicked in by a snapshot, without what machines do
select
  dates.as_of,
  events.customer_id,
  count(distinct case when events.event_type = 'opened' then events.campaign_id end) as emails_opened_90d,
  count(distinct case when events.event_type = 'clicked' then events.campaign_id end) as emails_clicked_90d
from {{ ref('email_events') }} as events
inner join {{ ref('snapshot_dates') }} as dates
  on events.occurred_at < dates.as_of and events.occurred_at >= {{ days_before('dates.as_of', 90) }}
where events.customer_id is not null and not coalesce(events.is_automatic, false)
group by dates.as_of, events.customer_id
