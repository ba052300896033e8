{{ config(
  materialized=kept_table(), kept_by="(attribution_model = 'markov', order_id)",
  kept_from=['order_paths', 'channel_removal_effects']
) }}
{#- what a channel is worth moves every day, and with it the Markov weights of all paths of several channels -#}
{% call keys_that_changed() %}
select (false, order_id) from {{ changes_of('order_paths') }}
union all
select (true, order_id) from {{ changes_of('order_paths') }}
union all
select (true, order_id) from {{ ref('order_paths') }}
where
  channel_touch_count < touch_count
  and channel in (select channel from {{ changes_of('channel_removal_effects') }})
{% endcall -%}
-- how much each touch of an order weighs in each model, in whole numbers; what weighs nothing is left out
with paths as (
  select * from {{ rows_of('order_paths', '(false, order_id)') }}
),

valued_paths as (
  select
    paths.*,
    coalesce(effects.effect_millionths, 0) as effect_millionths,
    sum(coalesce(effects.effect_millionths, 0)) over (partition by paths.order_id) as path_effect
  from {{ rows_of('order_paths', '(true, order_id)') }} as paths
  left join {{ ref('channel_removal_effects') }} as effects on paths.channel = effects.channel
),

weighed as (
  select
    'first' as attribution_model, order_id, touch_id, touch_number, true as is_last_of_channel, 1 as weight
  from paths
  where touch_number = 1
  union all
  select
    'last', order_id, touch_id, touch_number, true, 1
  from paths
  where touch_number = touch_count
  union all
  select
    'linear', order_id, touch_id, touch_number, is_last_of_channel, 1
  from paths
  union all
  -- 40 % to the first, 40 % to the last, 20 % to those between them
  select
    'position', order_id, touch_id, touch_number, is_last_of_channel,
    case when touch_count > 2 and touch_number in (1, touch_count) then 2 * (touch_count - 2) else 1 end
  from paths
  union all
  -- half as much for every half-life between the touch and the order, by whole hours
  select
    'time_decay', order_id, touch_id, touch_number, is_last_of_channel,
    cast(round(
      power(cast(2 as double), -cast(coalesce(hours_before, 0) as double) / {{ 24 * var('attribution_half_life_days') }})
      * 1000000
    ) as bigint)
  from paths
  union all
  -- by what the channel is worth to the shop; its touches in one path share it. A channel alone in a path has all of
  -- it, whatever it is worth
  select
    'markov', order_id, touch_id, touch_number, is_last_of_channel,
    case
      when path_effect > 0 and channel_touch_count < touch_count
        then {{ whole_division('1000 * effect_millionths', 'channel_touch_count') }}
      else 1
    end
  from valued_paths
)

select
  attribution_model,
  order_id,
  touch_id,
  touch_number,
  is_last_of_channel,
  cast(weight as bigint) as weight
from weighed
where weight > 0
