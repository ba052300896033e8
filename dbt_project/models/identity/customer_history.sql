-- merges and splits of customers, so far and by this build
with assignments as (
  select * from {{ ref('identity_assignments') }}
),

history as (
  select * from {{ ref('stg_previous__customer_history') }}
),

flows as (
  select * from {{ ref('customer_flows') }}
),

still_there as (
  select distinct customer_id
  from assignments
),

known_before as (
  select distinct previous_customer_id as customer_id
  from assignments
),

events as (
  select
    case
      when still_there.customer_id is null then 'merged'
      when known_before.customer_id is null then 'split'
      else 'moved'
    end as event,
    flows.*
  from flows
  left join still_there on flows.previous_customer_id = still_there.customer_id
  left join known_before on flows.customer_id = known_before.customer_id
),

-- what last happened between two customers, either way round
latest as (
  select *
  from (
    select
      *,
      row_number() over (
        partition by least(customer_id, previous_customer_id), greatest(customer_id, previous_customer_id)
        order by sequence_number desc
      ) as event_rank
    from history
  ) as ranked
  where event_rank = 1
),

-- this table is written before identity_clusters, so a build that was killed between the two sees the same events
-- again; an event that repeats the last one between its two customers is that one
new_events as (
  select
    events.*,
    coalesce(latest.sequence_number, 0) + 1 as sequence_number
  from events
  left join latest
    on
      least(events.customer_id, events.previous_customer_id) = least(latest.customer_id, latest.previous_customer_id)
      and greatest(events.customer_id, events.previous_customer_id)
      = greatest(latest.customer_id, latest.previous_customer_id)
  where
    latest.event is null
    or latest.event <> events.event
    or latest.customer_id <> events.customer_id
    or latest.record_count <> events.record_count
)

select
  event_id,
  event,
  customer_id,
  previous_customer_id,
  record_count,
  sequence_number,
  occurred_at,
  evidence
from history
union all
select
  md5(concat_ws('|', event, customer_id, previous_customer_id, cast(sequence_number as string))) as event_id,
  event,
  customer_id,
  previous_customer_id,
  record_count,
  cast(sequence_number as bigint) as sequence_number,
  {{ as_of() }} as occurred_at,
  case
    when event = 'split' then coalesce(guards, 'link_gone')
    else coalesce(linking_rules, 'through_records_of_others')
  end as evidence
from new_events
