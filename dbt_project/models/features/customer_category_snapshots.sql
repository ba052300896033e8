-- every customer and each of the ten largest categories, at every snapshot; nothing but the outcome looks past as_of
with purchases as (
  select * from {{ ref('customer_categories') }}
),

dates as (
  select * from {{ ref('snapshot_dates') }}
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
  from {{ ref('customer_snapshots') }}
),

category_days as (
  select
    category,
    cast(ordered_at as date) as ordered_date,
    count(*) as order_count
  from purchases
  group by category, cast(ordered_at as date)
),

-- largest by orders in the year before the snapshot, so that even the choice of categories knows nothing later
ranked_categories as (
  select
    dates.as_of,
    category_days.category,
    row_number() over (
      partition by dates.as_of order by sum(category_days.order_count) desc, category_days.category asc
    ) as size_rank
  from category_days
  inner join dates
    on
      category_days.ordered_date < cast(dates.as_of as date)
      and category_days.ordered_date >= cast({{ days_before('dates.as_of', 365) }} as date)
  where category_days.category <> 'uncategorised'
  group by dates.as_of, category_days.category
),

largest as (
  select as_of, category
  from ranked_categories
  where size_rank <= 10
),

purchases_then as (
  select
    largest.as_of,
    purchases.customer_id,
    purchases.category,
    count(*) as category_order_count,
    {% for days in [14, 30, 90, 180] -%}
    sum(case when {{ days_between('purchases.ordered_at', 'largest.as_of') }} < {{ days }} then 1 else 0 end)
      as category_orders_{{ days }}d,
    {% endfor -%}
    {{ money('sum(purchases.spend)') }} as category_spend,
    {% for days in [90, 180] -%}
    {{ money(
      'sum(case when ' ~ days_between('purchases.ordered_at', 'largest.as_of') ~ ' < ' ~ days ~ ' then purchases.spend else 0 end)'
    ) }} as category_spend_{{ days }}d,
    {% endfor -%}
    sum(purchases.item_count) as category_item_count,
    min(purchases.ordered_at) as first_ordered_at,
    max(purchases.ordered_at) as last_ordered_at
  from purchases
  inner join largest on purchases.category = largest.category and purchases.ordered_at < largest.as_of
  group by largest.as_of, purchases.customer_id, purchases.category
),

views_then as (
  select
    largest.as_of,
    sessions.customer_id,
    items.category,
    count(*) as category_views_30d
  from {{ ref('stg_ga4__items') }} as items
  inner join {{ ref('sessions') }} as sessions on items.session_id = sessions.session_id
  inner join largest
    on
      items.category = largest.category
      and items.event_at < largest.as_of
      and items.event_at >= {{ days_before('largest.as_of', 30) }}
  where items.event_name in ('view_item', 'add_to_cart') and sessions.customer_id is not null
  group by largest.as_of, sessions.customer_id, items.category
),

next_purchases as (
  select
    largest.as_of,
    purchases.customer_id,
    purchases.category,
    count(*) as order_count
  from purchases
  inner join largest
    on
      purchases.category = largest.category
      and purchases.ordered_at >= largest.as_of
      and purchases.ordered_at < {{ days_after('largest.as_of', var('propensity_window_days')) }}
  group by largest.as_of, purchases.customer_id, purchases.category
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
