-- pairs of records that a human has said are one person, as edges; a pair that names a record nobody sent links nothing
with pairs as (
  select
    *,
    md5(concat_ws('|', first_record_type, first_record_id, second_record_type, second_record_id)) as pair_id
  from {{ ref('forced_identity_merges') }}
),

stated as (
  select
    pair_id,
    decided_on,
    first_record_type as record_type,
    first_record_id as record_id
  from pairs
  union all
  select
    pair_id,
    decided_on,
    second_record_type,
    second_record_id
  from pairs
),

known as (
  select
    record_type,
    record_id,
    max(case when is_deleted then 1 else 0 end) = 1 as is_deleted
  from {{ ref('record_identifiers') }}
  group by record_type, record_id
)

select distinct
  stated.record_type,
  stated.record_id,
  'record_pair' as identifier_type,
  stated.pair_id as identifier_value,
  'forced_merge' as rule,
  cast(stated.decided_on as timestamp) as first_seen_at,
  cast(stated.decided_on as timestamp) as last_seen_at,
  case when known.is_deleted then 'record_deleted' end as guard,
  case when not known.is_deleted then 'record_pair|' || stated.pair_id end as link_key
from stated
inner join known on stated.record_type = known.record_type and stated.record_id = known.record_id
