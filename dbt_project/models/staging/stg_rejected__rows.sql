-- the folder says whose rows they are: rejected/<source>/<stream>/<commit>.parquet
with located as (
  select
    _reason as reason,
    _field as field,
    md5(_row) as row_md5,
    _landed_at as landed_at,
    {{ file_path() }} as path
  from {{ source('rejected', 'rows') }}
)

select
  reason,
  field,
  row_md5,
  landed_at,
  regexp_extract(path, 'rejected/([^/]+)/[^/]+/[^/]+$', 1) || '.' || regexp_extract(path, 'rejected/[^/]+/([^/]+)/[^/]+$', 1)
    as stream
from located
