-- the cluster of alike buyers a customer is in, by the name that says what stands out
select
  customer_id,
  cluster_name as part
from {{ ref('stg_scores__behaviour_clusters') }}
