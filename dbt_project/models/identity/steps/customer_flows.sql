-- records of people that changed hands between two customers, with the rules that join them now and the guards on them
with assignments as (
  select * from {{ ref('identity_assignments') }}
),

edges as (
  select * from {{ ref('identity_edges') }}
),

moved as (
  select * from assignments
  where previous_customer_id is not null and previous_customer_id <> customer_id and is_person
),

flows as (
  select
    previous_customer_id,
    customer_id,
    cast(count(*) as bigint) as record_count
  from moved
  group by previous_customer_id, customer_id
),

moved_edges as (
  select
    moved.previous_customer_id,
    moved.customer_id,
    edges.identifier_type,
    edges.identifier_value,
    edges.rule,
    edges.guard,
    edges.link_key
  from moved
  inner join edges on moved.record_type = edges.record_type and moved.record_id = edges.record_id
),

-- the same node, held by a record that did not come from there
met_edges as (
  select distinct
    moved_edges.previous_customer_id,
    moved_edges.customer_id,
    moved_edges.rule
  from moved_edges
  inner join edges on moved_edges.link_key = edges.link_key
  inner join assignments
    on
      edges.record_type = assignments.record_type
      and edges.record_id = assignments.record_id
      and moved_edges.customer_id = assignments.customer_id
  where assignments.previous_customer_id is null or assignments.previous_customer_id <> moved_edges.previous_customer_id
),

rules as (
  select
    previous_customer_id,
    customer_id,
    {{ distinct_text('rule') }} as linking_rules
  from met_edges
  group by previous_customer_id, customer_id
),

-- a guard may stand at the record that stayed: which side of a split keeps the id says nothing about who gave up what
left_edges as (
  select
    moved_edges.previous_customer_id,
    moved_edges.customer_id,
    edges.guard
  from moved_edges
  inner join edges
    on
      moved_edges.identifier_type = edges.identifier_type
      and moved_edges.identifier_value = edges.identifier_value
  inner join assignments
    on
      edges.record_type = assignments.record_type
      and edges.record_id = assignments.record_id
      and moved_edges.previous_customer_id = assignments.previous_customer_id
  where assignments.customer_id <> moved_edges.customer_id
),

told_guards as (
  select
    previous_customer_id,
    customer_id,
    guard
  from moved_edges
  union all
  select
    previous_customer_id,
    customer_id,
    guard
  from left_edges
),

guards as (
  select
    previous_customer_id,
    customer_id,
    {{ distinct_text('guard') }} as guards
  from told_guards
  group by previous_customer_id, customer_id
)

select
  flows.previous_customer_id,
  flows.customer_id,
  flows.record_count,
  rules.linking_rules,
  guards.guards
from flows
left join rules
  on flows.previous_customer_id = rules.previous_customer_id and flows.customer_id = rules.customer_id
left join guards
  on flows.previous_customer_id = guards.previous_customer_id and flows.customer_id = guards.customer_id
