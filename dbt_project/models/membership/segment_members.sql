-- who is in which segment: what the log of changes comes to
select
  segment,
  customer_id,
  max_by(member_since, sequence_number) as entered_at
from {{ ref('segment_changes') }}
group by segment, customer_id
having max_by(change, sequence_number) = 'entered'
