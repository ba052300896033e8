-- what a person has said of two records: in match_decisions, or by closing an edge between a record and the others on it
with decisions as (
  select * from {{ ref('match_decisions') }}
),

edges as (
  select * from {{ ref('identity_edges') }}
  where record_type in ('shopify.customers', 'shopify.orders', 'hubspot.contacts')
),

closed as (
  select * from edges
  where guard = 'closed_by_hand'
),

parted as (
  select
    closed.record_type || '|' || closed.record_id as one_key,
    edges.record_type || '|' || edges.record_id as other_key
  from closed
  inner join edges
    on closed.identifier_type = edges.identifier_type and closed.identifier_value = edges.identifier_value
  where edges.link_key is not null
),

stated as (
  select
    record_key_left as one_key,
    record_key_right as other_key,
    decision,
    'match_decisions' as decided_in
  from decisions
  union all
  select
    one_key,
    other_key,
    'different' as decision,
    'closed_identity_edges' as decided_in
  from parted
)

-- where two statements disagree the more careful one holds
select
  least(one_key, other_key) as record_key_left,
  greatest(one_key, other_key) as record_key_right,
  min(decision) as decision,
  min(decided_in) as decided_in
from stated
where one_key <> other_key
group by least(one_key, other_key), greatest(one_key, other_key)
