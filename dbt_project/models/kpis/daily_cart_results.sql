-- a basket that was left is one that its customer neither completed nor followed by an order in time
with carts as (
  select
    {{ shop_date('created_at') }} as activity_date,
    currency,
    cart_total,
    case
      when completed_at < {{ as_of() }} then 'completed'
      when
        next_ordered_at < {{ as_of() }} and next_ordered_at <= {{ days_after('created_at', var('cart_recovery_days')) }}
        then 'recovered'
      when {{ days_after('created_at', var('cart_recovery_days')) }} >= {{ as_of() }} then 'open'
      else 'lost'
    end as outcome
  from {{ ref('carts') }}
  where created_at < {{ as_of() }}
),

outcomes as (
  select
    activity_date,
    currency,
    count(*) as cart_count,
    {% for outcome in ['completed', 'recovered', 'open', 'lost'] -%}
    sum(case when outcome = '{{ outcome }}' then 1 else 0 end) as {{ outcome }}_cart_count,
    {% endfor -%}
    sum(cart_total) as cart_value,
    sum(case when outcome = 'lost' then cart_total else 0 end) as lost_cart_value
  from carts
  group by activity_date, currency
),

visits as (
  select
    activity_date,
    sum(cart_session_count) as cart_session_count,
    sum(cart_purchase_session_count) as cart_purchase_session_count,
    sum(checkout_session_count) as checkout_session_count,
    sum(checkout_purchase_session_count) as checkout_purchase_session_count
  from {{ ref('dated_visits') }}
  group by activity_date
)

select
  days.activity_date,
  days.currency,
  {% for name in [
    'cart_session_count', 'cart_purchase_session_count', 'checkout_session_count', 'checkout_purchase_session_count'
  ] -%}
  {{ counted('visits.' ~ name) }} as {{ name }},
  {% endfor -%}
  {{ ratio('visits.cart_session_count - visits.cart_purchase_session_count', 'visits.cart_session_count') }}
    as cart_abandonment_rate,
  {{ ratio('visits.checkout_session_count - visits.checkout_purchase_session_count', 'visits.checkout_session_count') }}
    as checkout_abandonment_rate,
  {% for name in [
    'cart_count', 'completed_cart_count', 'recovered_cart_count', 'open_cart_count', 'lost_cart_count'
  ] -%}
  {{ counted('outcomes.' ~ name) }} as {{ name }},
  {% endfor -%}
  {{ summed('outcomes.cart_value') }} as cart_value,
  {{ summed('outcomes.lost_cart_value') }} as lost_cart_value,
  {{ ratio('outcomes.recovered_cart_count', 'outcomes.recovered_cart_count + outcomes.lost_cart_count') }}
    as recovery_rate
from {{ ref('shop_days') }} as days
left join outcomes on days.activity_date = outcomes.activity_date and days.currency = outcomes.currency
left join visits on days.activity_date = visits.activity_date
