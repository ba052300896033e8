-- where every customer stands with every category they have looked at or bought
select
  customer_id,
  category,
  to_stage as stage,
  cause,
  cause_event_id,
  entered_at,
  {{ as_of() }} as as_of
from {{ ref('journey_events') }}
where category is not null and left_at is null
