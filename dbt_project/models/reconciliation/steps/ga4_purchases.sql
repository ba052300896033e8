-- every purchase GA4 counted up to the as-of time, with the order its transaction id names and its place among those of it
with purchases as (
  select
    event_id,
    event_at as purchased_at,
    {{ shop_date('event_at') }} as purchase_date,
    session_id,
    transaction_id,
    replace(transaction_id, '#', '') as order_number,
    coalesce(purchase_revenue, {{ money('0') }}) as purchase_revenue
  from {{ ref('stg_ga4__events') }}
  where event_name = 'purchase' and event_at < {{ as_of() }}
),

-- a name that two orders carry is taken for the first of them
orders as (
  select
    replace(order_name, '#', '') as order_number,
    min(order_id) as order_id
  from {{ ref('orders') }}
  where ordered_at < {{ as_of() }}
  group by replace(order_name, '#', '')
),

left_out as (
  select
    replace(order_name, '#', '') as order_number,
    case when max(case when is_test then 1 else 0 end) = 1 then 'test_order' else 'order_left_out' end as reason
  from {{ ref('stg_shopify__orders') }}
  group by replace(order_name, '#', '')
)

select
  purchases.event_id,
  purchases.purchased_at,
  purchases.purchase_date,
  purchases.transaction_id,
  purchases.purchase_revenue,
  orders.order_id,
  case when orders.order_id is null then coalesce(left_out.reason, 'order_unknown') end as unknown_reason,
  sessions.session_id is not null as has_session,
  case
    when sessions.session_id is null then 'unattributed' else {{ channel_of('sessions.source', 'sessions.medium') }}
  end as purchase_channel,
  row_number() over (
    partition by coalesce(orders.order_id, purchases.event_id)
    order by purchases.purchased_at asc, purchases.event_id asc
  ) as purchase_number
from purchases
left join orders on purchases.order_number = orders.order_number
left join left_out on purchases.order_number = left_out.order_number
left join {{ ref('sessions') }} as sessions on purchases.session_id = sessions.session_id
