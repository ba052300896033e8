{{ config(materialized=kept_table(), kept_by='row') }}
-- how the shop came to know a customer: the first record of them, and their first visit
with people as (
  select
    clusters.customer_id,
    edges.record_type || '|' || edges.record_id as event_id,
    edges.first_seen_at as event_at,
    row_number() over (
      partition by clusters.customer_id order by edges.first_seen_at asc, edges.record_type asc, edges.record_id asc
    ) as place
  from {{ ref('identity_edges') }} as edges
  inner join {{ ref('identity_clusters') }} as clusters
    on edges.record_type = clusters.record_type and edges.record_id = clusters.record_id
  inner join {{ ref('customers') }} as customers on clusters.customer_id = customers.customer_id
  where
    edges.record_type in ('shopify.customers', 'shopify.orders', 'hubspot.contacts')
    and edges.first_seen_at < {{ as_of() }}
),

visits as (
  select
    customer_id,
    session_id as event_id,
    started_at as event_at,
    row_number() over (partition by customer_id order by started_at asc, session_id asc) as place
  from {{ ref('sessions') }}
  where customer_id is not null and started_at < {{ as_of() }}
)

select customer_id, event_id, event_at, 'first_seen' as kind
from people
where place = 1
union all
select customer_id, event_id, event_at, 'visited'
from visits
where place = 1
