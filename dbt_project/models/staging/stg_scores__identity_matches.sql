select
  record_key_left,
  record_key_right,
  match_probability,
  match_weight,
  evidence,
  decided,
  reason
from {{ source('scores', 'identity_matches') }}
where {{ var('match_people') }}
