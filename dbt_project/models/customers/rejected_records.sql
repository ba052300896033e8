-- everything that could not be used as it came, and why; nothing is dropped without a row here
with findings as (
  select * from {{ ref('refused_records') }}
),

refused_at_landing as (
  select * from {{ ref('stg_rejected__rows') }}
)

select
  md5(concat_ws('|', stream, record_id, reason, field)) as rejection_id,
  'marts' as refused_by,
  stream,
  record_id,
  reason,
  field,
  found,
  is_excluded,
  max(landed_at) as landed_at
from findings
group by stream, record_id, reason, field, found, is_excluded
union all
select
  md5(concat_ws('|', stream, row_md5, reason, field)) as rejection_id,
  'landing' as refused_by,
  stream,
  cast(null as string) as record_id,
  reason,
  field,
  '(withheld)' as found,
  true as is_excluded,
  max(landed_at) as landed_at
from refused_at_landing
group by stream, row_md5, reason, field
