{{ config(
  kept_by="(attribution_model = 'markov', order_id)", kept_from=['touch_weights', 'order_journeys', 'order_paths'],
  kept_log=false
) }}
{% call keys_that_changed() %}
select (attribution_model = 'markov', order_id) from {{ changes_of('touch_weights') }}
union all
select (kinds.is_markov, moved.order_id)
from (
  select order_id from {{ changes_of('order_journeys') }}
  union all
  select order_id from {{ changes_of('order_paths') }}
) as moved
cross join (values (true), (false)) as kinds (is_markov)
{% endcall -%}
-- credit in millionths by the weights, then the order's cents by the credit; both add up exactly
{% set keys = 'attribution_model, order_id' -%}
with totals as (
  select
    *,
    cast(sum(weight) over (partition by {{ keys }}) as bigint) as total_weight
  from {{ rows_of('touch_weights', "(attribution_model = 'markov', order_id)") }}
),

parts as (
  select
    *,
    {{ proportional_parts('1000000', 'weight', 'total_weight', 'part') }}
  from totals
),

credits as (
  select
    attribution_model,
    order_id,
    touch_id,
    touch_number,
    is_last_of_channel,
    {{ largest_remainder('1000000', 'part', keys, 'touch_number') }} as credit
  from parts
),

cent_parts as (
  select
    credits.*,
    journeys.ordered_at,
    journeys.customer_id,
    journeys.is_cancelled,
    journeys.currency,
    cast(journeys.net_total * 100 as bigint) as cents,
    {{ proportional_parts('cast(journeys.net_total * 100 as bigint)', 'credits.credit', '1000000', 'cent_part') }}
  from credits
  inner join {{ ref('order_journeys') }} as journeys on credits.order_id = journeys.order_id
),

shared as (
  select
    *,
    {{ largest_remainder('cents', 'cent_part', keys, 'touch_number') }} as credited_cents
  from cent_parts
)

select
  shared.attribution_model,
  shared.order_id,
  shared.touch_id,
  cast(shared.touch_number as bigint) as touch_number,
  shared.customer_id,
  shared.ordered_at,
  shared.is_cancelled,
  paths.touched_at,
  paths.channel,
  shared.is_last_of_channel,
  paths.campaign,
  cast(cast(shared.credit as decimal(18, 6)) * cast(0.000001 as decimal(7, 6)) as decimal(18, 6)) as credit,
  shared.currency,
  cast(cast(shared.credited_cents as decimal(18, 0)) * cast(0.01 as decimal(3, 2)) as decimal(18, 2)) as credited_revenue
from shared
inner join {{ ref('order_paths') }} as paths on shared.order_id = paths.order_id and shared.touch_id = paths.touch_id
