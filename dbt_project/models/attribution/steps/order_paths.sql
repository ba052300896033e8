{{ config(materialized=kept_table(), kept_by='order_id', kept_from=['touches', 'order_journeys']) }}
{% call keys_that_changed() %}
select next_order_id from {{ changes_of('touches') }}
union all
select order_id from {{ changes_of('order_journeys') }}
{% endcall -%}
-- the touches behind each order, in the order they happened. A direct visit counts only where nothing else is known:
-- Google Analytics' rule (https://support.google.com/analytics/answer/10596866)
with led as (
  select
    touches.*,
    journeys.ordered_at,
    max(case when touches.channel = 'direct' then 0 else 1 end) over (partition by touches.next_order_id) as has_campaign
  from {{ rows_of('touches', 'next_order_id') }} as touches
  inner join {{ rows_of('order_journeys', 'order_id') }} as journeys on touches.next_order_id = journeys.order_id
  where touches.is_within_lookback
),

numbered as (
  select
    next_order_id as order_id,
    touch_id,
    channel,
    campaign,
    touched_at,
    {{ whole_division(epoch_seconds('ordered_at') ~ ' - ' ~ epoch_seconds('touched_at'), 3600) }} as hours_before,
    row_number() over (partition by next_order_id order by touched_at asc, touch_id asc) as touch_number,
    count(*) over (partition by next_order_id) as touch_count,
    count(*) over (partition by next_order_id, channel) as channel_touch_count,
    row_number() over (partition by next_order_id, channel order by touched_at desc, touch_id desc) = 1
      as is_last_of_channel,
    lead(channel) over (partition by next_order_id order by touched_at asc, touch_id asc) as next_channel
  from led
  where channel <> 'direct' or has_campaign = 0
)

select
  journeys.order_id,
  coalesce(numbered.touch_id, 'none') as touch_id,
  coalesce(numbered.channel, 'unattributed') as channel,
  numbered.campaign,
  numbered.touched_at,
  numbered.hours_before,
  coalesce(numbered.touch_number, 1) as touch_number,
  coalesce(numbered.touch_count, 1) as touch_count,
  coalesce(numbered.channel_touch_count, 1) as channel_touch_count,
  coalesce(numbered.is_last_of_channel, true) as is_last_of_channel,
  -- a cancelled order is a purchase that did not happen
  coalesce(numbered.next_channel, case when journeys.is_cancelled then 'no_order' else 'order' end) as next_state
from {{ rows_of('order_journeys', 'order_id') }} as journeys
left join numbered on journeys.order_id = numbered.order_id
