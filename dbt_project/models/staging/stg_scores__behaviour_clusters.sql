-- the newest cluster of a customer that the build's clock has reached
select
  customer_id,
  as_of,
  cluster_name,
  model_version
from (
  select
    *,
    row_number() over (partition by customer_id order by as_of desc, scored_at desc nulls last, model_version desc) as score_rank
  from {{ source('scores', 'behaviour_clusters') }}
  where as_of <= {{ as_of() }}
) as ranked
where score_rank = 1
