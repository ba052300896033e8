-- the steps of all paths between channels, counted: the Markov chain of Anderl et al. (2016), first order
with paths as (
  select
    channel,
    touch_number,
    next_state
  from {{ ref('order_paths') }}
  where touch_id <> 'none'
  union all
  select
    channel,
    touch_number,
    next_state
  from {{ ref('unsold_paths') }}
),

steps as (
  select
    channel as from_state,
    next_state as to_state
  from paths
  union all
  select
    'start',
    channel
  from paths
  where touch_number = 1
)

select
  from_state,
  to_state,
  count(*) as transition_count
from steps
group by from_state, to_state
