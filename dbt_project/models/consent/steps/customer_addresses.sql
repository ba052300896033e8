-- the e-mails and phones a customer can be reached at: identifiers the guards took for the person's own, of records the
-- vendor still has
with edges as (
  select * from {{ ref('identity_edges') }}
  where identifier_type in ('email', 'phone') and identifier_value is not null
),

clusters as (
  select * from {{ ref('identity_clusters') }}
),

owned as (
  select
    clusters.customer_id,
    edges.identifier_type,
    edges.identifier_value as identifier,
    case edges.rule
      when 'account_email' then 1
      when 'account_phone' then 1
      when 'contact_email' then 2
      when 'contact_mobile' then 2
      when 'order_email' then 3
      when 'contact_phone' then 3
      else 4
    end as trust,
    edges.last_seen_at
  from edges
  inner join clusters on edges.record_type = clusters.record_type and edges.record_id = clusters.record_id
  where
    edges.guard is null
    -- a phone that a family shares still reaches each of them; a mailbox with another name on it does not
    or (edges.guard in ('only_same_name', 'contradicting_birthdays') and edges.identifier_type = 'phone')
)

select
  customer_id,
  identifier_type,
  identifier,
  min(trust) as trust,
  max(last_seen_at) as last_seen_at
from owned
group by customer_id, identifier_type, identifier
