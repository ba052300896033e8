-- who is in which segment: what the log of changes comes to
with ranked as (
  select
    *,
    row_number() over (partition by segment, customer_id order by sequence_number desc) as change_rank
  from {{ ref('segment_changes') }}
)

select
  segment,
  customer_id,
  member_since as entered_at
from ranked
where change_rank = 1 and change = 'entered'
