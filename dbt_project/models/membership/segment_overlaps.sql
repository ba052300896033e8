-- how many two segments share, both ways round
with sizes as (
  select
    segment,
    row_number() over (order by segment) as segment_number,
    count(*) as customer_count
  from {{ ref('segment_members') }}
  group by segment
),

-- a customer's segments in one row, by number: pairs made of rows and names take three times the time
memberships as (
  select
    members.customer_id,
    array_agg(sizes.segment_number) as segment_numbers
  from {{ ref('segment_members') }} as members
  inner join sizes on members.segment = sizes.segment
  group by members.customer_id
),

opened as (
  select
    segment_numbers,
    {{ elements_of('segment_numbers') }} as left_number
  from memberships
),

paired as (
  select
    left_number,
    {{ elements_of('segment_numbers') }} as right_number
  from opened
),

counted as (
  select
    left_number,
    right_number,
    count(*) as customer_count
  from paired
  where left_number < right_number
  group by left_number, right_number
),

pairs as (
  select left_number, right_number, customer_count
  from counted
  union all
  select right_number, left_number, customer_count
  from counted
)

select
  lefts.segment as segment_left,
  rights.segment as segment_right,
  cast(pairs.customer_count as bigint) as customer_count,
  cast(lefts.customer_count as bigint) as left_count,
  cast(rights.customer_count as bigint) as right_count,
  {{ ratio('pairs.customer_count', 'lefts.customer_count') }} as overlap_rate
from pairs
inner join sizes as lefts on pairs.left_number = lefts.segment_number
inner join sizes as rights on pairs.right_number = rights.segment_number
