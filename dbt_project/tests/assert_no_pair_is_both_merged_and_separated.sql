{{ config(meta={'dagster': {'ref': {'name': 'identity_edges'}}}) }}
-- two analysts who disagree: nobody is pushed before they have talked
select merges.*
from {{ ref('forced_identity_merges') }} as merges
inner join {{ ref('separated_identity_records') }} as separations
  on
    least(merges.first_record_type || merges.first_record_id, merges.second_record_type || merges.second_record_id)
    = least(
      separations.first_record_type || separations.first_record_id,
      separations.second_record_type || separations.second_record_id
    )
    and greatest(merges.first_record_type || merges.first_record_id, merges.second_record_type || merges.second_record_id)
    = greatest(
      separations.first_record_type || separations.first_record_id,
      separations.second_record_type || separations.second_record_id
    )
