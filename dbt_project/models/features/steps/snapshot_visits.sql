-- what a customer's visits and baskets before a snapshot add up to
with visits_then as (
  select
    dates.as_of,
    sessions.*,
    {{ days_between('sessions.started_at', 'dates.as_of') }} as age_days
  from {{ ref('sessions') }} as sessions
  inner join {{ ref('snapshot_dates') }} as dates on sessions.started_at < dates.as_of
  where sessions.customer_id is not null
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
