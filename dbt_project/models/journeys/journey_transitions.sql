-- how many moved from where to where, and how long they had stood there
with moves as (
  select
    *,
    {{ epoch_seconds('entered_at') }} - {{ epoch_seconds('from_entered_at') }} as stage_seconds
  from {{ ref('journey_events') }}
)

select
  category,
  from_stage,
  to_stage,
  cast(count(*) as bigint) as transition_count,
  cast(sum(case when is_first_move then 1 else 0 end) as bigint) as customer_count,
  {{ ratio('sum(stage_seconds)', 'count(stage_seconds) * 86400') }} as mean_days,
  cast(median(stage_seconds) as double) / 86400 as median_days
from moves
group by category, from_stage, to_stage
