with meta as (
  select * from {{ ref('stg_meta__insights') }}
),

google_ads as (
  select * from {{ ref('stg_google_ads__campaign_days') }}
),

days as (
  select
    activity_date, 'meta' as platform, account_id, campaign_id, campaign_name, impression_count, click_count, spend,
    currency, conversion_count, conversion_value, view_count, view_value, attribution_window
  from meta
  union all
  select
    activity_date, 'google_ads', account_id, campaign_id, campaign_name, impression_count, click_count, spend,
    -- Google keeps the window with each conversion action and shows it nowhere in the figures
    currency, conversion_count, conversion_value, 0, 0, 'account_setting'
  from google_ads
)

select
  activity_date,
  platform,
  account_id,
  campaign_id,
  campaign_name,
  impression_count,
  click_count,
  spend,
  currency,
  conversion_count as claimed_conversion_count,
  conversion_value as claimed_value,
  cast(view_count as decimal(18, 4)) as claimed_view_count,
  {{ money('view_value') }} as claimed_view_value,
  attribution_window
from days
