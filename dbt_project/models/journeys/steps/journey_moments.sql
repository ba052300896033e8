{{ config(materialized=kept_table(), kept_by="(customer_id, coalesce(category, ''))", kept_from=['journey_signals']) }}
{% call keys_that_changed() %}
select (customer_id, coalesce(category, '')) from {{ changes_of('journey_signals') }}
union all
select (customer_id, coalesce(category, '')) from {{ ref('journey_signals') }}
where {{ has_passed('event_at') }}
{% endcall -%}
-- the stage at every moment at which it may change
{%- set latest = 'over (partition by customer_id, category order by event_at asc, cause_rank asc, event_id asc, cause asc '
  ~ 'rows between unbounded preceding and current row)' %}
with signals as (
  select * from {{ rows_of('journey_signals', "(customer_id, coalesce(category, ''))") }}
  where event_at < {{ as_of() }}
),

known_then as (
  select
    customer_id,
    category,
    event_id,
    event_at,
    cause,
    max(case when cause = 'viewed' then event_at end) {{ latest }} as viewed_at,
    max(previous_viewed_at) {{ latest }} as previous_viewed_at,
    max(case when cause = 'carted' then event_at end) {{ latest }} as carted_at,
    max(case when cause = 'ordered' then event_at end) {{ latest }} as ordered_at,
    max(case when is_restart then event_at end) {{ latest }} as restarted_at,
    max(case when cause = 'silence' then event_at end) {{ latest }} as silent_at,
    max(case when cause = 'order_returned' then event_at end) {{ latest }} as returned_at,
    max(returned_ordered_at) {{ latest }} as returned_ordered_at,
    sum(case cause when 'ordered' then 1 when 'order_returned' then -1 else 0 end) {{ latest }} as kept_order_count,
    lead(event_at) over (
      partition by customer_id, category order by event_at asc, cause_rank asc, event_id asc, cause asc
    ) as next_at
  from signals
)

select
  customer_id,
  category,
  event_id,
  event_at,
  cause,
  {{ journey_stage('event_at') }} as stage
from known_then
-- of what falls on one moment, only where it ends
where next_at is null or next_at > event_at
