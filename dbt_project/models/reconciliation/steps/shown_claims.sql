-- the orders whose last touch is a platform's click, on the day the platform would date them to
select
  touches.platform,
  touches.channel,
  touches.claim_date,
  touches.claimed_until,
  credits.order_id
from {{ ref('attributed_orders') }} as credits
inner join {{ ref('platform_touches') }} as touches on credits.touch_id = touches.touch_id
where credits.attribution_model = 'last'
