{{ config(kept_by='row') }}
with campaigns as (
  select * from {{ ref('email_campaigns') }}
),

recipients as (
  select * from {{ ref('stg_mailchimp__recipients') }}
),

activity as (
  select * from {{ ref('stg_mailchimp__email_activity') }}
),

unsubscribes as (
  select * from {{ ref('stg_mailchimp__unsubscribes') }}
),

readers as (
  select * from {{ ref('reader_customers') }}
),

events as (
  select
    md5(concat_ws('|', campaign_id, email_id, 'sent')) as event_id,
    campaign_id,
    email_id,
    'sent' as event_type,
    cast(null as timestamp) as occurred_at,
    cast(null as string) as link_url,
    cast(null as string) as bounce_kind,
    false as is_automatic
  from recipients
  union all
  select
    activity_id,
    campaign_id,
    email_id,
    case action when 'open' then 'opened' when 'click' then 'clicked' else 'bounced' end,
    occurred_at,
    link_url,
    bounce_kind,
    -- nobody follows two links of a mail in one second, but a scanner of attachments and links does
    is_by_proxy or (action = 'click' and count(*) over (partition by campaign_id, email_id, action, occurred_at) > 1)
  from activity
  where action in ('open', 'click', 'bounce')
  union all
  select
    md5(concat_ws('|', campaign_id, email_id, 'unsubscribed')), campaign_id, email_id, 'unsubscribed', unsubscribed_at,
    cast(null as string), cast(null as string), false
  from unsubscribes
),

-- who left is told with an address, who got the mail too: the same one
addresses as (
  select campaign_id, email_id, email from recipients
),

timed as (
  select
    events.*,
    campaigns.campaign_name,
    coalesce(events.occurred_at, campaigns.sent_at) as event_at
  from events
  inner join campaigns on events.campaign_id = campaigns.campaign_id
)

select
  timed.event_id,
  timed.campaign_id,
  timed.campaign_name,
  readers.customer_id,
  timed.event_type,
  timed.event_at as occurred_at,
  timed.link_url,
  timed.bounce_kind,
  timed.is_automatic
from timed
left join addresses on timed.campaign_id = addresses.campaign_id and timed.email_id = addresses.email_id
left join readers on addresses.email = readers.email
