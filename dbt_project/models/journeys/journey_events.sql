{{ config(kept_by="(customer_id, coalesce(category, ''))", kept_from=['journey_moments'], kept_log=false) }}
{% call keys_that_changed() %}
select (customer_id, coalesce(category, '')) from {{ changes_of('journey_moments') }}
{% endcall -%}
-- the moments at which the stage did change
with moments as (
  select
    *,
    lag(stage) over (partition by customer_id, category order by event_at asc) as from_stage
  from {{ rows_of('journey_moments', "(customer_id, coalesce(category, ''))") }}
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
