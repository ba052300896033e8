-- the visits up to the as-of time, counted by the shop's days and how they came
with visits as (
  select
    {{ shop_date('started_at') }} as activity_date,
    {{ channel_of('source', 'medium') }} as channel,
    campaign,
    cart_addition_count > 0 as has_cart,
    checkout_count > 0 as has_checkout,
    purchase_count > 0 as has_purchase
  from {{ ref('sessions') }}
  where started_at < {{ as_of() }}
)

select
  concat_ws('|', cast(activity_date as string), channel, coalesce(campaign, '')) as visit_group_id,
  activity_date,
  channel,
  campaign,
  count(*) as session_count,
  sum(case when has_cart then 1 else 0 end) as cart_session_count,
  sum(case when has_cart and has_purchase then 1 else 0 end) as cart_purchase_session_count,
  sum(case when has_checkout then 1 else 0 end) as checkout_session_count,
  sum(case when has_checkout and has_purchase then 1 else 0 end) as checkout_purchase_session_count,
  sum(case when has_purchase then 1 else 0 end) as purchase_session_count
from visits
group by activity_date, channel, campaign
