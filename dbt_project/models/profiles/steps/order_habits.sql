{{ config(materialized=kept_table(), kept_by='customer_id', kept_from=['order_facts'], kept_log=false) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('order_facts') }}
union all
select customer_id from {{ ref('order_facts') }} where {{ has_passed('ordered_at') }}
union all
select customer_id from {{ ref('order_facts') }} where {{ has_passed('cancelled_at') }}
{% endcall -%}
-- when a customer orders, and how regularly
with orders as (
  select
    *,
    {{ hour_band('hour_of_day') }} as hour_band
  from {{ rows_of('order_facts', 'customer_id') }}
  where ordered_at < {{ as_of() }} and (cancelled_at is null or cancelled_at >= {{ as_of() }})
),

counted as (
  select
    customer_id,
    count(*) as order_count,
    sum(case when weekday >= 6 then 1 else 0 end) as weekend_order_count,
    {% for name in weekdays() -%}
    sum(case when weekday = {{ loop.index }} then 1 else 0 end) as {{ name }}_count,
    {% endfor -%}
    {% for name in hour_bands() -%}
    sum(case when hour_band = '{{ name }}' then 1 else 0 end) as {{ name }}_count,
    {% endfor -%}
    sum(case when hour_band = 'night' then 1 else 0 end) as night_count
  from orders
  group by customer_id
),

-- two orders on one day of the shop's are one visit; the gap between visits is whole days
order_days as (
  select distinct
    customer_id,
    cast({{ shop_time('ordered_at') }} as date) as order_day
  from orders
),

gaps as (
  select
    customer_id,
    order_day,
    {{ days_between(
      'cast(lag(order_day) over (partition by customer_id order by order_day) as timestamp)', 'cast(order_day as timestamp)'
    ) }} as gap_days
  from order_days
),

ranked_gaps as (
  select
    *,
    row_number() over (partition by customer_id order by gap_days asc, order_day asc) as gap_rank,
    count(*) over (partition by customer_id) as gap_count
  from gaps
  where gap_days is not null
),

cadence as (
  select
    customer_id,
    -- of an even number the lower middle one; two gaps are the least that can be called a rhythm
    min(case when gap_rank * 2 >= gap_count then gap_days end) as median_gap_days,
    max(gap_days) as longest_gap_days,
    count(*) as gap_count
  from ranked_gaps
  group by customer_id
),

last_days as (
  select
    customer_id,
    count(*) as order_day_count,
    max(order_day) as last_order_day
  from order_days
  group by customer_id
)

select
  counted.customer_id,
  last_days.order_day_count,
  {{ ratio('counted.weekend_order_count', 'counted.order_count') }} as weekend_order_rate,
  {{ largest_of(weekdays(), '_count') }} as favourite_weekday,
  {{ largest_of((hour_bands() | list) + ['night'], '_count') }} as favourite_hour_band,
  cadence.longest_gap_days,
  case when cadence.gap_count >= 2 then cadence.median_gap_days end as median_gap_days,
  case when cadence.gap_count >= 2 then {{ date_after('last_days.last_order_day', 'cadence.median_gap_days') }} end
    as expected_next_order_date
from counted
inner join last_days on counted.customer_id = last_days.customer_id
left join cadence on counted.customer_id = cadence.customer_id
