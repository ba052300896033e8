{{ config(
  materialized=kept_table(), kept_by=snapshot_key(), kept_from=['snapshot_dates', 'sessions', 'stg_ga4__events'],
  kept_log=past_snapshots()
) }}
{% call keys_that_changed() %}
select 'clock'
union all
select customer_id from {{ changes_of('sessions') }} where started_at < {{ newest_past_snapshot() }}
union all
select customer_id from {{ ref('sessions') }}
where session_id in (select session_id from {{ changes_of('stg_ga4__events') }} where event_at < {{ newest_past_snapshot() }})
{% endcall -%}
-- what a customer's visits and baskets before a snapshot add up to
with -- a visit under way at the snapshot counts with what had happened by then
begun as (
  select
    visits.as_of,
    visits.session_id,
    sum(case when events.event_name = 'view_item' then 1 else 0 end) as product_view_count,
    sum(case when events.event_name = 'add_to_cart' then 1 else 0 end) as cart_addition_count,
    sum(case when events.event_name = 'purchase' then 1 else 0 end) as purchase_count
  from {{ rows_then(
    ref('sessions'), 'facts.started_at < dates.as_of and facts.ended_at >= dates.as_of', ref('snapshot_dates')
  ) }} as visits
  inner join {{ ref('stg_ga4__events') }} as events
    on visits.session_id = events.session_id and visits.as_of > events.event_at
  group by visits.as_of, visits.session_id
),

visits_then as (
  select
    visits.as_of,
    visits.customer_id,
    visits.started_at,
    coalesce(begun.product_view_count, visits.product_view_count) as product_view_count,
    coalesce(begun.cart_addition_count, visits.cart_addition_count) as cart_addition_count,
    coalesce(begun.purchase_count, visits.purchase_count) as purchase_count,
    {{ days_between('visits.started_at', 'visits.as_of') }} as age_days
  from {{ rows_then(ref('sessions'), 'facts.started_at < dates.as_of', ref('snapshot_dates')) }} as visits
  left join begun on visits.as_of = begun.as_of and visits.session_id = begun.session_id
  where visits.customer_id is not null
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
