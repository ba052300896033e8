select
  record_type,
  record_id,
  customer_id
from {{ source('previous', 'identity_clusters') }}
