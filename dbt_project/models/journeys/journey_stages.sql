-- where every customer stands overall
select
  customer_id,
  to_stage as stage,
  cause,
  cause_event_id,
  entered_at,
  {{ as_of() }} as as_of
from {{ ref('journey_events') }}
where category is null and left_at is null
