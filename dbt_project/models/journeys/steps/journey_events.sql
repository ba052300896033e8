{%- set key = "(customer_id, coalesce(category, ''))" -%}
{{ config(
  materialized=kept_table(), kept_by=key, kept_from=['first_contacts', 'journey_browsing', 'journey_orders'], kept_log=false
) }}
{#- a timer that something later overtook is asked for as well, which changes nothing -#}
{% call keys_that_changed() %}
select (customer_id, '') from {{ changes_of('first_contacts') }}
union all
select {{ key }} from {{ changes_of('journey_browsing') }}
union all
select {{ key }} from {{ changes_of('journey_orders') }}
union all
select {{ key }} from {{ ref('journey_browsing') }}
where {{ has_passed('event_at', [var('journey_interest_days'), var('journey_decision_days')]) }}
union all
select {{ key }} from {{ ref('journey_orders') }}
where
  {{ has_passed('ordered_at', [var('journey_arrival_days')]) }}
  or {{ has_passed('silent_at') }}
  or {{ has_passed('returned_at', [0, var('journey_interest_days')]) }}
{% endcall -%}
-- the moments at which the stage did change
with signals as (
  {{ journey_signals_of(
    rows_of('first_contacts', "(customer_id, '')"), rows_of('journey_browsing', key), rows_of('journey_orders', key)
  ) }}
),

known_moments as (
  {{ journey_moments_of('signals') }}
),

moments as (
  select
    *,
    lag(stage) over (partition by customer_id, category order by event_at asc) as from_stage
  from known_moments
),

changes as (
  select
    *,
    lag(event_at) over (partition by customer_id, category order by event_at asc) as from_entered_at,
    lead(event_at) over (partition by customer_id, category order by event_at asc) as left_at
  from moments
  where from_stage is null or from_stage <> stage
)

select
  customer_id,
  category,
  from_stage,
  from_entered_at,
  stage as to_stage,
  cause,
  event_id as cause_event_id,
  event_at as entered_at,
  left_at,
  row_number() over (partition by customer_id, category, from_stage, stage order by event_at asc) = 1 as is_first_move
from changes
