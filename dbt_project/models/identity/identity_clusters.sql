{{ config(kept_by='row') }}
-- depends_on: {{ ref('customer_history') }}
-- Written after customer_history on purpose: this file is what the next build compares with, so the history of a change
-- must be on disk before the change.
select
  record_type,
  record_id,
  customer_id
from {{ ref('identity_assignments') }}
