with versions as (
  {{ newest_version(source('raw_google_ads', 'campaign_days'), 'customer_id, campaign_id, date', 'date') }}
)

select
  customer_id as account_id,
  campaign_id,
  campaign.name as campaign_name,
  cast(date as date) as activity_date,
  coalesce(metrics.impressions, 0) as impression_count,
  coalesce(metrics.clicks, 0) as click_count,
  -- millionths to hundredths in whole numbers, so that both engines round alike
  cast(cast(floor((coalesce(metrics.costMicros, 0) + 5000) / 10000) as decimal(18, 0)) * 0.01 as decimal(18, 2)) as spend,
  customer.currencyCode as currency,
  cast(coalesce(metrics.conversions, 0) as decimal(18, 4)) as conversion_count,
  {{ money('coalesce(metrics.conversionsValue, 0)') }} as conversion_value
from versions
