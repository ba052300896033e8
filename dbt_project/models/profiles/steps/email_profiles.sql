-- what a customer makes of the shop's mail. An open fetched by a mail program on its own is no open; one letter opened
-- three times is one opened.
with events as (
  select
    customer_id,
    campaign_id,
    event_type,
    occurred_at,
    bounce_kind,
    occurred_at > {{ days_before(as_of(), 30) }} as is_within_30d,
    occurred_at > {{ days_before(as_of(), 90) }} as is_within_90d
  from {{ ref('email_events') }}
  where customer_id is not null and occurred_at < {{ as_of() }} and not coalesce(is_automatic, false)
)

select
  customer_id,
  {% for days in [30, 90] -%}
  {% for event_type in ['sent', 'opened', 'clicked'] -%}
  count(distinct case when event_type = '{{ event_type }}' and is_within_{{ days }}d then campaign_id end)
    as emails_{{ event_type }}_{{ days }}d,
  {% endfor -%}
  {% endfor -%}
  max(case when event_type = 'sent' then occurred_at end) as last_email_sent_at,
  max(case when event_type = 'opened' then occurred_at end) as last_email_opened_at,
  max(case when event_type = 'clicked' then occurred_at end) as last_email_clicked_at,
  max(case when event_type = 'bounced' and bounce_kind = 'hard' then occurred_at end) as last_email_bounced_at
from events
group by customer_id
