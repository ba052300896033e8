-- who entered and who left each segment, so far and by this build; the log is its own memory, so a build that is killed
-- after writing it and then repeated finds nothing new
with before as (
  select * from {{ ref('members_before') }}
),

history as (
  select * from {{ ref('customer_history') }}
),

met as (
  select distinct customer_id
  from before
),

successors as (
  select
    customer_id,
    previous_customer_id,
    event
  from history
  where event = 'merged'
  union all
  -- a part that split off takes its memberships along once, when it is first met
  select
    history.customer_id,
    history.previous_customer_id,
    history.event
  from history
  left join met on history.customer_id = met.customer_id
  where history.event = 'split' and met.customer_id is null
),

-- a membership under the id that a customer had before
inherited as (
  select
    before.segment,
    successors.customer_id,
    min(before.member_since) as member_since,
    min(successors.event) as event
  from successors
  inner join before on successors.previous_customer_id = before.customer_id
  where before.change = 'entered'
  group by before.segment, successors.customer_id
),

gone as (
  select distinct previous_customer_id as customer_id
  from history
  where event = 'merged'
),

entered as (
  select
    current_members.segment,
    current_members.customer_id,
    'entered' as change,
    coalesce(inherited.event, 'rule') as reason,
    coalesce(inherited.member_since, {{ as_of() }}) as member_since,
    coalesce(before.sequence_number, 0) + 1 as sequence_number
  from {{ ref('current_members') }} as current_members
  left join before
    on current_members.segment = before.segment and current_members.customer_id = before.customer_id
  left join inherited
    on current_members.segment = inherited.segment and current_members.customer_id = inherited.customer_id
  where before.change is null or before.change = 'left'
),

gone_from as (
  select
    before.segment,
    before.customer_id,
    'left' as change,
    case when gone.customer_id is null then 'rule' else 'merged' end as reason,
    before.member_since,
    before.sequence_number + 1 as sequence_number
  from before
  left join {{ ref('current_members') }} as current_members
    on before.segment = current_members.segment and before.customer_id = current_members.customer_id
  left join gone on before.customer_id = gone.customer_id
  where before.change = 'entered' and current_members.customer_id is null
),

new_changes as (
  select * from entered
  union all
  select * from gone_from
)

select
  change_id,
  segment,
  customer_id,
  change,
  reason,
  member_since,
  sequence_number,
  changed_at
from {{ ref('stg_previous__segment_changes') }}
union all
select
  md5(concat_ws('|', segment, customer_id, cast(sequence_number as string))),
  segment,
  customer_id,
  change,
  reason,
  member_since,
  cast(sequence_number as bigint),
  {{ as_of() }}
from new_changes
