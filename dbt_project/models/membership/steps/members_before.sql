-- who was in which segment when the log of changes was last written, and how often they have come and gone
select
  segment,
  customer_id,
  max_by(change, sequence_number) as change,
  max_by(member_since, sequence_number) as member_since,
  max(sequence_number) as sequence_number
from {{ ref('stg_previous__segment_changes') }}
group by segment, customer_id
