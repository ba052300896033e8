-- the graph: a record and one node it hangs on
select
  record_type || '|' || record_id as record_key,
  link_key
from {{ ref('identity_edges') }}
where link_key is not null
union
select
  record_type || '|' || record_id as record_key,
  link_key
from {{ ref('probable_edges') }}
where link_key is not null
