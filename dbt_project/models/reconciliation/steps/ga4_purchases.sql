-- every purchase GA4 counted up to the as-of time, with the order its transaction id names and its place among those of it
with purchases as (
  select
    event_id,
    event_at as purchased_at,
    {{ shop_date('event_at') }} as purchase_date,
    session_id,
    transaction_id,
    coalesce(purchase_revenue, {{ money('0') }}) as purchase_revenue
  from {{ ref('stg_ga4__events') }}
  where event_name = 'purchase' and event_at < {{ as_of() }}
),

found as (
  {{ orders_named('purchases', 'event_id', ref('orders'), "orders.ordered_at < " ~ as_of()) }}
),

unknown as (
  select purchases.*
  from purchases
  left join found on purchases.event_id = found.event_id
  where found.event_id is null
),

left_out as (
  {{ orders_named('unknown', 'event_id', ref('stg_shopify__orders')) }}
)

select
  purchases.event_id,
  purchases.purchased_at,
  purchases.purchase_date,
  purchases.transaction_id,
  purchases.purchase_revenue,
  found.order_id,
  case
    when found.order_id is not null then null
    when left_out.event_id is null then 'order_unknown'
    when left_orders.is_test then 'test_order'
    else 'order_left_out'
  end as unknown_reason,
  sessions.session_id is not null as has_session,
  case
    when sessions.session_id is null then 'unattributed' else {{ channel_of('sessions.source', 'sessions.medium') }}
  end as purchase_channel,
  row_number() over (
    partition by coalesce(found.order_id, purchases.event_id)
    order by purchases.purchased_at asc, purchases.event_id asc
  ) as purchase_number
from purchases
left join found on purchases.event_id = found.event_id
left join left_out on purchases.event_id = left_out.event_id
left join {{ ref('stg_shopify__orders') }} as left_orders on left_out.order_id = left_orders.order_id
left join {{ ref('sessions') }} as sessions on purchases.session_id = sessions.session_id
