{{ config(kept_by=snapshot_key(), kept_from=[
  'largest_categories', 'customer_snapshots', 'customer_categories', 'stg_ga4__items', 'sessions'
], kept_log=false, kept_anew=snapshot_at_the_clock()) }}
{#- another choice of categories at a date is other rows for everybody -#}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('customer_snapshots') }}
union all
select customer_id from {{ changes_of('customer_categories') }} where ordered_at < {{ last_known_outcome() }}
union all
select customer_id from {{ changes_of('sessions') }} where started_at < {{ newest_past_snapshot() }}
union all
select customer_id from {{ ref('sessions') }}
where session_id in (select session_id from {{ changes_of('stg_ga4__items') }} where event_at < {{ newest_past_snapshot() }})
union all
select customer_id from {{ ref('customer_snapshots') }}
where as_of in (select as_of from {{ changes_of('largest_categories') }})
{% endcall -%}
-- every customer and each of the ten largest categories, at every snapshot; nothing but the outcome looks past as_of
with largest as (
  select * from {{ ref('largest_categories') }}
),

customers_then as (
  select
    customer_id,
    as_of,
    order_count,
    orders_30d,
    orders_90d,
    days_since_last_order,
    mean_gap_days,
    lifetime_spend
  from {{ rows_of('customer_snapshots', snapshot_key()) }}
),

purchases_then as (
  select
    as_of,
    customer_id,
    category,
    count(*) as category_order_count,
    {% for days in [14, 30, 90, 180] -%}
    sum(case when {{ days_between('ordered_at', 'as_of') }} < {{ days }} then 1 else 0 end) as category_orders_{{ days }}d,
    {% endfor -%}
    {{ money('sum(spend)') }} as category_spend,
    {% for days in [90, 180] -%}
    {{ money(
      'sum(case when ' ~ days_between('ordered_at', 'as_of') ~ ' < ' ~ days ~ ' then spend else 0 end)'
    ) }} as category_spend_{{ days }}d,
    {% endfor -%}
    sum(item_count) as category_item_count,
    min(ordered_at) as first_ordered_at,
    max(ordered_at) as last_ordered_at
  from {{ rows_then(
    ref('customer_categories'), 'facts.category = dates.category and facts.ordered_at < dates.as_of', 'largest'
  ) }} as purchases
  group by as_of, customer_id, category
),

views as (
  select
    sessions.customer_id,
    items.category,
    items.event_at
  from {{ ref('stg_ga4__items') }} as items
  inner join {{ ref('sessions') }} as sessions on items.session_id = sessions.session_id
  where items.event_name in ('view_item', 'add_to_cart') and sessions.customer_id is not null
),

views_then as (
  select
    as_of,
    customer_id,
    category,
    count(*) as category_views_30d
  from {{ rows_then(
    'views', 'facts.category = dates.category and facts.event_at < dates.as_of and facts.event_at >= '
    ~ days_before('dates.as_of', 30), 'largest'
  ) }} as views_by_then
  group by as_of, customer_id, category
),

next_purchases as (
  select
    as_of,
    customer_id,
    category,
    count(*) as order_count
  from {{ rows_then(
    ref('customer_categories'), 'facts.category = dates.category and facts.ordered_at >= dates.as_of and facts.ordered_at < '
    ~ days_after('dates.as_of', var('propensity_window_days')), 'largest'
  ) }} as purchases
  group by as_of, customer_id, category
)

select
  customers_then.customer_id,
  customers_then.as_of,
  largest.category,
  cast(coalesce(purchases_then.category_order_count, 0) as bigint) as category_order_count,
  {% for days in [14, 30, 90, 180] -%}
  cast(coalesce(purchases_then.category_orders_{{ days }}d, 0) as bigint) as category_orders_{{ days }}d,
  {% endfor -%}
  {% for days in [90, 180] -%}
  coalesce(cast(purchases_then.category_spend_{{ days }}d as double), 0) as category_spend_{{ days }}d,
  {% endfor -%}
  {{ days_between('purchases_then.last_ordered_at', 'customers_then.as_of') }} as days_since_category_order,
  {{ ratio(
    days_between('purchases_then.first_ordered_at', 'purchases_then.last_ordered_at'),
    'purchases_then.category_order_count - 1'
  ) }} as category_mean_gap_days,
  coalesce({{ ratio('purchases_then.category_order_count', 'customers_then.order_count') }}, 0) as category_order_rate,
  coalesce({{ ratio('purchases_then.category_spend', 'customers_then.lifetime_spend') }}, 0) as category_spend_rate,
  {{ ratio('purchases_then.category_item_count', 'purchases_then.category_order_count') }} as category_mean_items,
  cast(coalesce(views_then.category_views_30d, 0) as bigint) as category_views_30d,
  customers_then.order_count,
  customers_then.orders_30d,
  customers_then.orders_90d,
  customers_then.days_since_last_order,
  customers_then.mean_gap_days,
  case
    when {{ days_after('customers_then.as_of', var('propensity_window_days')) }} <= {{ as_of() }}
      then coalesce(next_purchases.order_count, 0) > 0
  end as outcome_ordered
from customers_then
inner join largest on customers_then.as_of = largest.as_of
left join purchases_then
  on
    customers_then.as_of = purchases_then.as_of
    and customers_then.customer_id = purchases_then.customer_id
    and largest.category = purchases_then.category
left join views_then
  on
    customers_then.as_of = views_then.as_of
    and customers_then.customer_id = views_then.customer_id
    and largest.category = views_then.category
left join next_purchases
  on
    customers_then.as_of = next_purchases.as_of
    and customers_then.customer_id = next_purchases.customer_id
    and largest.category = next_purchases.category
