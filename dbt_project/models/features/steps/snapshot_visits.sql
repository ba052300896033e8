-- what a customer's visits and baskets before a snapshot add up to
with dates as (
  select * from {{ ref('snapshot_dates') }}
),

visits as (
  select * from {{ ref('sessions') }}
  where customer_id is not null
),

-- a visit under way at the snapshot counts with what had happened by then
begun as (
  select
    dates.as_of,
    visits.session_id,
    sum(case when events.event_name = 'view_item' then 1 else 0 end) as product_view_count,
    sum(case when events.event_name = 'add_to_cart' then 1 else 0 end) as cart_addition_count,
    sum(case when events.event_name = 'purchase' then 1 else 0 end) as purchase_count
  from visits
  inner join dates on visits.started_at < dates.as_of and visits.ended_at >= dates.as_of
  inner join {{ ref('stg_ga4__events') }} as events
    on visits.session_id = events.session_id and dates.as_of > events.event_at
  group by dates.as_of, visits.session_id
),

visits_then as (
  select
    dates.as_of,
    visits.customer_id,
    visits.started_at,
    coalesce(begun.product_view_count, visits.product_view_count) as product_view_count,
    coalesce(begun.cart_addition_count, visits.cart_addition_count) as cart_addition_count,
    coalesce(begun.purchase_count, visits.purchase_count) as purchase_count,
    {{ days_between('visits.started_at', 'dates.as_of') }} as age_days
  from visits
  inner join dates on visits.started_at < dates.as_of
  left join begun on dates.as_of = begun.as_of and visits.session_id = begun.session_id
)

select
  as_of,
  customer_id,
  max(started_at) as last_visited_at,
  {% for days in [7, 30, 90] -%}
  sum(case when age_days < {{ days }} then 1 else 0 end) as sessions_{{ days }}d,
  {% endfor -%}
  sum(case when age_days < 30 then product_view_count else 0 end) as product_views_30d,
  sum(case when age_days < 30 then cart_addition_count else 0 end) as cart_additions_30d,
  sum(case when age_days < 30 and cart_addition_count > 0 and purchase_count = 0 then 1 else 0 end)
    as unbought_cart_sessions_30d
from visits_then
group by as_of, customer_id
