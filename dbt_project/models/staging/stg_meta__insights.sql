with versions as (
  {{ newest_version(source('raw_meta', 'insights'), 'account_id, campaign_id, date_start', 'date_start') }}
),

-- one purchase is told under several types, and they must not be added up
purchases as (
  select
    versions.account_id, versions.campaign_id, versions.date_start, purchase.value as conversion_count,
    purchase.{{ adapter.quote('1d_view') }} as view_count
  from versions
  {{ unnest_list('versions.actions', 'purchase') }}
  where purchase.action_type = 'purchase'
),

purchase_values as (
  select
    versions.account_id, versions.campaign_id, versions.date_start, purchase.value as conversion_value,
    purchase.{{ adapter.quote('1d_view') }} as view_value
  from versions
  {{ unnest_list('versions.action_values', 'purchase') }}
  where purchase.action_type = 'purchase'
)

select
  versions.account_id,
  versions.campaign_id,
  versions.campaign_name,
  cast(versions.date_start as date) as activity_date,
  coalesce(versions.impressions, 0) as impression_count,
  coalesce(versions.clicks, 0) as click_count,
  {{ money('coalesce(versions.spend, 0)') }} as spend,
  versions.account_currency as currency,
  cast(coalesce(purchases.conversion_count, '0') as decimal(18, 4)) as conversion_count,
  {{ money("coalesce(purchase_values.conversion_value, '0')") }} as conversion_value,
  -- those of it that nobody clicked for
  cast(coalesce(purchases.view_count, '0') as decimal(18, 4)) as view_count,
  {{ money("coalesce(purchase_values.view_value, '0')") }} as view_value,
  versions.action_attribution_windows as attribution_window
from versions
left join purchases
  on
    versions.account_id = purchases.account_id
    and versions.campaign_id = purchases.campaign_id
    and versions.date_start = purchases.date_start
left join purchase_values
  on
    versions.account_id = purchase_values.account_id
    and versions.campaign_id = purchase_values.campaign_id
    and versions.date_start = purchase_values.date_start
