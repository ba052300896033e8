{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'identity_edges'}}}) }}
-- a row of a seed that names a record nobody has sent does nothing: most likely a slip of the pen
with named as (
  select first_record_type as record_type, first_record_id as record_id from {{ ref('forced_identity_merges') }}
  union all
  select second_record_type, second_record_id from {{ ref('forced_identity_merges') }}
  union all
  select first_record_type, first_record_id from {{ ref('separated_identity_records') }}
  union all
  select second_record_type, second_record_id from {{ ref('separated_identity_records') }}
  union all
  select record_type, record_id from {{ ref('closed_identity_edges') }}
)

select named.*
from named
left join {{ ref('record_identifiers') }} as known
  on named.record_type = known.record_type and named.record_id = known.record_id
where known.record_id is null
