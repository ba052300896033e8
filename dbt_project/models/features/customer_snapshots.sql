{{ config(
  kept_by=snapshot_key(), kept_from=[
    'snapshot_dates', 'order_facts', 'customer_categories', 'orders', 'stg_shopify__refunds', 'snapshot_orders',
    'snapshot_visits', 'snapshot_carts', 'snapshot_emails', 'snapshot_consents'
  ], kept_anew=snapshot_at_the_clock()
) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('order_facts') }} where ordered_at < {{ last_known_outcome() }}
union all
select customer_id from {{ changes_of('customer_categories') }} where ordered_at < {{ newest_past_snapshot() }}
union all
select customer_id from {{ changes_of('orders') }}
where order_id in (
  select order_id from {{ ref('stg_shopify__refunds') }} where refunded_at < {{ newest_past_snapshot() }}
  union all
  select order_id from {{ changes_of('stg_shopify__refunds') }}
)
union all
select customer_id from {{ ref('orders') }}
where order_id in (
  select order_id from {{ changes_of('stg_shopify__refunds') }} where refunded_at < {{ newest_past_snapshot() }}
)
{% for step in ['snapshot_orders', 'snapshot_visits', 'snapshot_carts', 'snapshot_emails', 'snapshot_consents'] %}
union all
select customer_id from {{ changes_of(step) }}
{% endfor %}
{% endcall -%}
-- every customer who had bought by then, at every snapshot, and what became of them; nothing but the outcomes looks
-- past as_of
with orders_then as (
  select * from {{ rows_of('snapshot_orders', snapshot_key()) }}
),

first_purchases as (
  select
    customer_id,
    category,
    min(ordered_at) as first_ordered_at
  from {{ ref('customer_categories') }}
  group by customer_id, category
),

breadth as (
  select
    as_of,
    customer_id,
    count(*) as category_count,
    sum(case when {{ days_between('first_ordered_at', 'as_of') }} < 60 then 1 else 0 end) as new_categories_60d
  from {{ rows_then('first_purchases', 'facts.first_ordered_at < dates.as_of', ref('snapshot_dates')) }} as purchases_then
  group by as_of, customer_id
),

refunds as (
  select
    orders.customer_id,
    refunds.refunded_at,
    refunds.refund_amount
  from {{ ref('stg_shopify__refunds') }} as refunds
  inner join {{ ref('orders') }} as orders on refunds.order_id = orders.order_id
  where orders.customer_id is not null and orders.currency = {{ shop_currency() }} and refunds.refund_amount >= 0
),

refunds_then as (
  select
    as_of,
    customer_id,
    count(*) as refund_count,
    {{ money('sum(refund_amount)') }} as refunded_total
  from {{ rows_then('refunds', 'facts.refunded_at < dates.as_of', ref('snapshot_dates')) }} as refunds_by_then
  group by as_of, customer_id
),

-- how many of the customer's gaps were longer than the silence is by then
longer_gaps as (
  select
    orders_then.as_of,
    orders_then.customer_id,
    count(*) as longer_gap_count
  from orders_then
  inner join {{ ref('order_facts') }} as facts
    on
      orders_then.customer_id = facts.customer_id
      and orders_then.as_of > facts.ordered_at
      and {{ days_between('orders_then.last_ordered_at', 'orders_then.as_of') }} * 24 < facts.gap_hours
  group by orders_then.as_of, orders_then.customer_id
),

next_orders as (
  select
    orders_then.as_of,
    orders_then.customer_id,
    min(facts.ordered_at) as ordered_at
  from orders_then
  inner join {{ ref('order_facts') }} as facts
    on orders_then.customer_id = facts.customer_id and orders_then.as_of <= facts.ordered_at
  where facts.cancelled_at is null
  group by orders_then.as_of, orders_then.customer_id
),

joined as (
  select
    orders_then.*,
    {{ days_between('orders_then.last_ordered_at', 'orders_then.as_of') }} as days_since_last_order,
    {{ days_between('orders_then.first_ordered_at', 'orders_then.as_of') }} as tenure_days,
    {{ days_between('orders_then.second_last_ordered_at', 'orders_then.as_of') }} as days_since_second_last_order,
    {{ days_between('orders_then.third_last_ordered_at', 'orders_then.as_of') }} as days_since_third_last_order,
    {{ ratio('orders_then.gap_hours', 'orders_then.gap_count * 24') }} as mean_gap_days,
    longer_gaps.longer_gap_count,
    carts_then.open_carts_30d,
    emails_then.emails_opened_90d,
    emails_then.emails_clicked_90d,
    coalesce(consents_then.email_decision = 'granted', false) as has_email_consent,
    {{ days_between('visits_then.last_visited_at', 'orders_then.as_of') }} as days_since_last_session,
    visits_then.sessions_7d,
    visits_then.sessions_30d,
    visits_then.sessions_90d,
    visits_then.product_views_30d,
    visits_then.cart_additions_30d,
    visits_then.unbought_cart_sessions_30d,
    breadth.category_count,
    breadth.new_categories_60d,
    refunds_then.refund_count,
    refunds_then.refunded_total,
    next_orders.ordered_at as next_ordered_at
  from orders_then
  left join {{ rows_of('snapshot_visits', snapshot_key()) }} as visits_then
    on orders_then.as_of = visits_then.as_of and orders_then.customer_id = visits_then.customer_id
  left join breadth on orders_then.as_of = breadth.as_of and orders_then.customer_id = breadth.customer_id
  left join refunds_then on orders_then.as_of = refunds_then.as_of and orders_then.customer_id = refunds_then.customer_id
  left join longer_gaps on orders_then.as_of = longer_gaps.as_of and orders_then.customer_id = longer_gaps.customer_id
  left join {{ rows_of('snapshot_carts', snapshot_key()) }} as carts_then
    on orders_then.as_of = carts_then.as_of and orders_then.customer_id = carts_then.customer_id
  left join {{ rows_of('snapshot_emails', snapshot_key()) }} as emails_then
    on orders_then.as_of = emails_then.as_of and orders_then.customer_id = emails_then.customer_id
  left join {{ rows_of('snapshot_consents', snapshot_key()) }} as consents_then
    on orders_then.as_of = consents_then.as_of and orders_then.customer_id = consents_then.customer_id
  left join next_orders on orders_then.as_of = next_orders.as_of and orders_then.customer_id = next_orders.customer_id
)

select
  customer_id,
  as_of,
  days_since_last_order,
  days_since_second_last_order,
  days_since_third_last_order,
  tenure_days,
  cast(order_count as bigint) as order_count,
  {% for days in [7, 14, 30, 60, 90, 180] -%}
  cast(orders_{{ days }}d as bigint) as orders_{{ days }}d,
  cast(spend_{{ days }}d as double) as spend_{{ days }}d,
  {% endfor -%}
  cast(spend as double) as lifetime_spend,
  {{ ratio('spend', 'order_count') }} as mean_order_value,
  mean_gap_days,
  sqrt({{ ratio('gap_count * squared_gap_hours - gap_hours * gap_hours', 'gap_count * (gap_count - 1)') }}) / 24
    as gap_deviation_days,
  {{ ratio('longest_gap_hours', '24') }} as longest_gap_days,
  {{ ratio('days_since_last_order', 'mean_gap_days') }} as recency_to_gap,
  {{ ratio('days_since_last_order * 24', 'longest_gap_hours') }} as recency_to_longest_gap,
  {{ ratio('case when gap_count > 0 then coalesce(longer_gap_count, 0) end', 'gap_count') }} as longer_gap_rate,
  {{ ratio('orders_30d * 3', 'orders_90d') }} as order_trend,
  {{ ratio('spend_30d * 3', 'spend_90d') }} as spend_trend,
  cast(active_weeks_84d as bigint) as active_weeks_84d,
  {{ ratio('weekend_order_count', 'order_count') }} as weekend_order_rate,
  {{ ratio('evening_order_count', 'order_count') }} as evening_order_rate,
  {{ ratio(
    'greatest(weekday_1_order_count, weekday_2_order_count, weekday_3_order_count, weekday_4_order_count, '
    ~ 'weekday_5_order_count, weekday_6_order_count, weekday_7_order_count)', 'order_count'
  ) }} as same_weekday_rate,
  {{ ratio('discount_order_count', 'order_count') }} as discount_order_rate,
  {{ ratio('discount_total', 'spend + discount_total') }} as discount_rate,
  {{ ratio('guest_order_count', 'order_count') }} as guest_order_rate,
  {{ ratio('cancelled_order_count', 'order_count') }} as cancelled_order_rate,
  {{ ratio('item_count', 'order_count') }} as mean_basket_items,
  {{ ratio('basket_category_count', 'order_count') }} as mean_basket_categories,
  cast(coalesce(category_count, 0) as bigint) as category_count,
  cast(coalesce(new_categories_60d, 0) as bigint) as new_categories_60d,
  cast(coalesce(refund_count, 0) as bigint) as refund_count,
  coalesce({{ ratio('refunded_total', 'spend') }}, 0) as refunded_rate,
  days_since_last_session,
  {% for feature in [
    'sessions_7d', 'sessions_30d', 'sessions_90d', 'product_views_30d', 'cart_additions_30d', 'unbought_cart_sessions_30d',
    'open_carts_30d', 'emails_opened_90d', 'emails_clicked_90d'
  ] -%}
  cast(coalesce({{ feature }}, 0) as bigint) as {{ feature }},
  {% endfor -%}
  has_email_consent,
  case
    when {{ days_after('as_of', var('churn_window_days')) }} <= {{ as_of() }}
      then coalesce(next_ordered_at >= {{ days_after('as_of', var('churn_window_days')) }}, true)
  end as outcome_churned,
  case
    when {{ days_after('as_of', var('propensity_window_days')) }} <= {{ as_of() }}
      then coalesce(next_ordered_at < {{ days_after('as_of', var('propensity_window_days')) }}, false)
  end as outcome_ordered
from joined
