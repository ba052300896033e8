{{ config(meta={'dagster': {'ref': {'name': 'identity_clusters'}}}) }}
-- the mega-person alarm: nobody has this many accounts and CRM contacts; a cluster that does has been glued together by
-- an identifier the guards do not know yet, and nobody is pushed before somebody has looked
select
  customer_id,
  count(*) as record_count
from {{ ref('identity_clusters') }}
where record_type in ('shopify.customers', 'hubspot.contacts')
group by customer_id
having count(*) > {{ var('cluster_size_limit') }}
