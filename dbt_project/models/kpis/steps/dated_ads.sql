-- what the platforms report for the days before the as-of time, with the channel their clicks arrive in
select
  activity_date,
  platform,
  account_id,
  campaign_id,
  {{ channel_of_platform('platform') }} as channel,
  campaign_name as campaign,
  currency,
  impression_count,
  click_count,
  spend
from {{ ref('ad_performance') }}
where activity_date <= {{ shop_date(as_of() ~ " - interval '1' second") }}
