{{ config(
  materialized=kept_table(), kept_by='event_id', kept_from=['purchased_orders', 'stg_shopify__orders', 'orders', 'sessions']
) }}
{% call keys_that_changed() %}
select event_id from {{ changes_of('purchased_orders') }}
union all
select event_id from {{ ref('purchased_orders') }} where {{ has_passed('event_at') }}
union all
select event_id from {{ ref('purchased_orders') }}
where order_id in (
  select order_id from {{ changes_of('stg_shopify__orders') }}
  union all
  select order_id from {{ changes_of('orders') }}
  union all
  select order_id from {{ ref('orders') }} where {{ has_passed('ordered_at') }}
)
union all
select event_id from {{ ref('purchased_orders') }}
where session_id in (select session_id from {{ changes_of('sessions') }})
{% endcall -%}
-- every purchase GA4 counted up to the as-of time, with the order its transaction id names
with named as (
  select * from {{ rows_of('purchased_orders', 'event_id') }}
  where event_at < {{ as_of() }}
),

-- a name that several orders carry is taken for the first of them
purchases as (
  select
    named.event_id,
    named.event_at as purchased_at,
    {{ shop_date('named.event_at') }} as purchase_date,
    named.session_id,
    named.transaction_id,
    coalesce(named.purchase_revenue, {{ money('0') }}) as purchase_revenue,
    min(orders.order_id) as order_id,
    min(named.order_id) as left_order_id
  from named
  left join {{ ref('orders') }} as orders on named.order_id = orders.order_id and orders.ordered_at < {{ as_of() }}
  group by named.event_id, named.event_at, named.session_id, named.transaction_id, named.purchase_revenue
)

select
  purchases.event_id,
  purchases.purchased_at,
  purchases.purchase_date,
  purchases.transaction_id,
  purchases.purchase_revenue,
  purchases.order_id,
  case
    when purchases.order_id is not null then null
    when purchases.left_order_id is null then 'order_unknown'
    when left_orders.is_test then 'test_order'
    else 'order_left_out'
  end as unknown_reason,
  sessions.session_id is not null as has_session,
  case
    when sessions.session_id is null then 'unattributed' else {{ channel_of('sessions.source', 'sessions.medium') }}
  end as purchase_channel
from purchases
left join {{ ref('stg_shopify__orders') }} as left_orders
  on purchases.left_order_id = left_orders.order_id and purchases.order_id is null
left join {{ ref('sessions') }} as sessions on purchases.session_id = sessions.session_id
