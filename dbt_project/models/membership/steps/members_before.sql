-- who was in which segment when the log of changes was last written, and how often they have come and gone
select
  segment,
  customer_id,
  change,
  member_since,
  sequence_number
from (
  select
    *,
    row_number() over (partition by segment, customer_id order by sequence_number desc) as change_rank
  from {{ ref('stg_previous__segment_changes') }}
) as ranked
where change_rank = 1
