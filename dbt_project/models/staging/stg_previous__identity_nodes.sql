select
  record_key,
  link_key,
  component_key
from {{ source('previous', 'identity_nodes') }}
