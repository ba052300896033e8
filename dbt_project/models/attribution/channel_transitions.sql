-- the steps of all paths between channels, counted: the Markov chain of Anderl et al. (2016), first order
with paths as (
  select
    paths.order_id as path_id,
    paths.channel,
    paths.touch_number,
    paths.touch_count,
    -- a cancelled order is a purchase that did not happen
    case when journeys.is_cancelled then 'no_order' else 'order' end as ending
  from {{ ref('order_paths') }} as paths
  inner join {{ ref('order_journeys') }} as journeys on paths.order_id = journeys.order_id
  where paths.touch_id <> 'none'
  union all
  select
    path_id,
    channel,
    touch_number,
    touch_count,
    'no_order'
  from {{ ref('unsold_paths') }}
),

steps as (
  select
    channel as from_state,
    coalesce(lead(channel) over (partition by path_id order by touch_number), ending) as to_state
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
