-- the clicks each platform could know of, from the shop's side: touches by one of its own campaigns. Its claims are
-- dated to the click, those of the e-mail tool to the day the campaign was sent.
with campaigns as (
  select
    platform,
    {{ channel_of_platform('platform') }} as channel,
    campaign_name,
    cast(null as date) as sent_date
  from {{ ref('ad_performance') }}
  group by platform, campaign_name
  union all
  select
    'mailchimp',
    'email',
    campaign_name,
    {{ shop_date('min(sent_at)') }}
  from {{ ref('email_campaigns') }}
  group by campaign_name
)

select
  touches.touch_id,
  touches.customer_id,
  touches.touched_at,
  touches.next_order_id,
  touches.is_within_lookback,
  campaigns.platform,
  campaigns.channel,
  coalesce(campaigns.sent_date, {{ shop_date('touches.touched_at') }}) as claim_date,
  {{ epoch_seconds('touches.touched_at') }} + 86400 * case campaigns.platform
    {% for platform, days in var('claim_window_days').items() -%}
    when '{{ platform }}' then {{ days }}
    {% endfor -%}
    else {{ var('attribution_lookback_days') }}
  end as claimed_until
from {{ ref('touches') }} as touches
inner join campaigns on touches.channel = campaigns.channel and touches.campaign = campaigns.campaign_name
where touches.customer_id is not null
