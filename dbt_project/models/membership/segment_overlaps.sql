-- how many two segments share, both ways round
with members as (
  select segment, customer_id
  from {{ ref('segment_members') }}
),

sizes as (
  select
    segment,
    count(*) as customer_count
  from members
  group by segment
),

counted as (
  select
    lefts.segment as segment_left,
    rights.segment as segment_right,
    count(*) as customer_count
  from members as lefts
  inner join members as rights on lefts.customer_id = rights.customer_id and lefts.segment < rights.segment
  group by lefts.segment, rights.segment
),

pairs as (
  select segment_left, segment_right, customer_count
  from counted
  union all
  select segment_right, segment_left, customer_count
  from counted
)

select
  pairs.segment_left,
  pairs.segment_right,
  cast(pairs.customer_count as bigint) as customer_count,
  cast(lefts.customer_count as bigint) as left_count,
  cast(rights.customer_count as bigint) as right_count,
  {{ ratio('pairs.customer_count', 'lefts.customer_count') }} as overlap_rate
from pairs
inner join sizes as lefts on pairs.segment_left = lefts.segment
inner join sizes as rights on pairs.segment_right = rights.segment
