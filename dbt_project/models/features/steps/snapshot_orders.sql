{{ config(
  materialized=kept_table(), kept_by=snapshot_key(), kept_from=['snapshot_dates', 'order_facts'],
  kept_log=past_snapshots()
) }}
{% call keys_that_changed() %}
select 'clock'
union all
select customer_id from {{ changes_of('order_facts') }} where ordered_at < {{ newest_past_snapshot() }}
{% endcall -%}
-- what a customer's orders before a snapshot add up to: counts and sums only, ratios come later
with facts_then as (
  select
    *,
    {{ days_between('ordered_at', 'as_of') }} as age_days,
    -- an order cancelled after the snapshot still counted then
    case when cancelled_at < as_of then {{ money('0') }} else order_total end as spend
  from {{ rows_then(ref('order_facts'), 'facts.ordered_at < dates.as_of', ref('snapshot_dates')) }} as orders_then
)

select
  as_of,
  customer_id,
  count(*) as order_count,
  {{ money('sum(spend)') }} as spend,
  {% for days in [7, 14, 30, 60, 90, 180] -%}
  sum(case when age_days < {{ days }} then 1 else 0 end) as orders_{{ days }}d,
  {{ money('sum(case when age_days < ' ~ days ~ ' then spend else 0 end)') }} as spend_{{ days }}d,
  {% endfor -%}
  min(ordered_at) as first_ordered_at,
  max(ordered_at) as last_ordered_at,
  -- the orders before an order are never later than those before a later one
  max(previous_ordered_at) as second_last_ordered_at,
  max(second_previous_ordered_at) as third_last_ordered_at,
  sum(gap_hours) as gap_hours,
  sum(gap_hours * gap_hours) as squared_gap_hours,
  count(gap_hours) as gap_count,
  max(gap_hours) as longest_gap_hours,
  count(distinct case when age_days < 84 then floor(age_days / 7) end) as active_weeks_84d,
  sum(case when weekday >= 6 then 1 else 0 end) as weekend_order_count,
  {% for weekday in range(1, 8) -%}
  sum(case when weekday = {{ weekday }} then 1 else 0 end) as weekday_{{ weekday }}_order_count,
  {% endfor -%}
  sum(case when hour_of_day >= 18 then 1 else 0 end) as evening_order_count,
  sum(case when has_discount then 1 else 0 end) as discount_order_count,
  {{ money('sum(discount_total)') }} as discount_total,
  sum(case when is_guest then 1 else 0 end) as guest_order_count,
  sum(case when cancelled_at < as_of then 1 else 0 end) as cancelled_order_count,
  sum(item_count) as item_count,
  sum(category_count) as basket_category_count
from facts_then
group by as_of, customer_id
