with sent as (
  select
    sent_date,
    count(*) as campaign_count,
    sum(sent_count) as sent_count,
    sum(bounce_count) as bounce_count,
    sum(delivered_count) as delivered_count,
    sum(unique_open_count) as unique_open_count,
    sum(unique_click_count) as unique_click_count,
    sum(unsubscribe_count) as unsubscribe_count
  from {{ ref('email_campaign_results') }}
  group by sent_date
),

happened as (
  select
    {{ shop_date('occurred_at') }} as activity_date,
    sum(case when event_type = 'opened' then 1 else 0 end) as opened_count,
    sum(case when event_type = 'clicked' then 1 else 0 end) as clicked_count,
    sum(case when event_type = 'bounced' then 1 else 0 end) as bounced_count,
    sum(case when event_type = 'unsubscribed' then 1 else 0 end) as unsubscribed_count
  from {{ ref('email_events') }}
  where occurred_at < {{ as_of() }} and not is_automatic
  group by {{ shop_date('occurred_at') }}
),

days as (
  select distinct activity_date
  from {{ ref('shop_days') }}
)

select
  days.activity_date,
  {{ counted('sent.campaign_count') }} as campaign_count,
  {{ counted('sent.sent_count') }} as sent_count,
  {{ counted('sent.bounce_count') }} as bounce_count,
  {{ counted('sent.delivered_count') }} as delivered_count,
  {{ counted('sent.unique_open_count') }} as unique_open_count,
  {{ counted('sent.unique_click_count') }} as unique_click_count,
  {{ counted('sent.unsubscribe_count') }} as unsubscribe_count,
  {{ ratio('sent.unique_open_count', 'sent.delivered_count') }} as open_rate,
  {{ ratio('sent.unique_click_count', 'sent.delivered_count') }} as click_rate,
  {{ ratio('sent.unsubscribe_count', 'sent.delivered_count') }} as unsubscribe_rate,
  {{ counted('happened.opened_count') }} as opened_count,
  {{ counted('happened.clicked_count') }} as clicked_count,
  {{ counted('happened.bounced_count') }} as bounced_count,
  {{ counted('happened.unsubscribed_count') }} as unsubscribed_count
from days
left join sent on days.activity_date = sent.sent_date
left join happened on days.activity_date = happened.activity_date
