select
  event_id,
  event,
  customer_id,
  previous_customer_id,
  record_count,
  sequence_number,
  occurred_at,
  evidence
from {{ source('previous', 'customer_history') }}
