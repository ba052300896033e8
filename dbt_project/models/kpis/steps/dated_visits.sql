-- the visits up to the as-of time, counted by the shop's days and how they came
select
  {{ shop_date('started_at') }} as activity_date,
  {{ channel_of('source', 'medium') }} as channel,
  campaign,
  count(*) as session_count,
  sum(case when cart_addition_count > 0 then 1 else 0 end) as cart_session_count,
  sum(case when cart_addition_count > 0 and purchase_count > 0 then 1 else 0 end) as cart_purchase_session_count,
  sum(case when checkout_count > 0 then 1 else 0 end) as checkout_session_count,
  sum(case when checkout_count > 0 and purchase_count > 0 then 1 else 0 end) as checkout_purchase_session_count,
  sum(case when purchase_count > 0 then 1 else 0 end) as purchase_session_count
from {{ ref('sessions') }}
where started_at < {{ as_of() }}
group by {{ shop_date('started_at') }}, {{ channel_of('source', 'medium') }}, campaign
