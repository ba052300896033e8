select
  change_id,
  segment,
  customer_id,
  change,
  reason,
  member_since,
  sequence_number,
  changed_at
from {{ source('previous', 'segment_changes') }}
