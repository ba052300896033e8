-- whose an e-mail address is: nobody's where the guards distrust it or two customers have it
with edges as (
  select * from {{ ref('identity_edges') }}
  where identifier_type = 'email' and identifier_value is not null and guard is null
),

clusters as (
  select * from {{ ref('identity_clusters') }}
),

customers as (
  select customer_id from {{ ref('customers') }}
)

select
  edges.identifier_value as email,
  min(customers.customer_id) as customer_id
from edges
inner join clusters on edges.record_type = clusters.record_type and edges.record_id = clusters.record_id
inner join customers on clusters.customer_id = customers.customer_id
group by edges.identifier_value
having count(distinct customers.customer_id) = 1
