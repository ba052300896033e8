{#- an event that names no order stands by itself, whatever order it may have been of -#}
{{ config(
  kept_by="case when finding = 'unknown_order' then event_id else order_id end",
  kept_from=['dated_orders', 'ga4_purchases', 'likely_orders'], kept_log=false
) }}
{% call keys_that_changed() %}
select order_id from {{ changes_of('dated_orders') }}
union all
select coalesce(order_id, event_id) from {{ changes_of('ga4_purchases') }}
union all
select order_id from {{ changes_of('likely_orders') }}
union all
select event_id from {{ changes_of('likely_orders') }}
union all
select event_id from {{ ref('likely_orders') }}
where order_id in (select order_id from {{ changes_of('dated_orders') }})
{% endcall -%}
{% set order_columns = ['order_id', 'order_name', 'ordered_at', 'order_date', 'source_name', 'is_cancelled', 'order_total',
  'net_total'] -%}
{% set columns = ['reconciliation_id', 'finding', 'reason'] + order_columns + ['order_channel', 'currency', 'event_id',
  'transaction_id', 'purchased_at', 'purchase_date', 'purchase_revenue', 'purchase_channel', 'has_session', 'event_count'] -%}
with purchases as (
  -- with its place among the purchases of its order
  select
    *,
    row_number() over (
      partition by coalesce(order_id, event_id) order by purchased_at asc, event_id asc
    ) as purchase_number,
    count(*) over (partition by coalesce(order_id, event_id)) as event_count
  from {{ rows_of('ga4_purchases', 'coalesce(order_id, event_id)') }}
),

paired as (
  select
    'order.' || orders.order_id as reconciliation_id,
    {% for name in order_columns -%}
    orders.{{ name }},
    {% endfor -%}
    orders.currency,
    orders.channel as order_channel,
    purchases.event_id,
    purchases.transaction_id,
    purchases.purchased_at,
    purchases.purchase_date,
    purchases.purchase_revenue,
    purchases.purchase_channel,
    purchases.has_session,
    likely.event_id as likely_event_id,
    coalesce(purchases.event_count, 0) as event_count,
    case
      when purchases.event_id is null and orders.source_name <> 'web' then 'offline'
      when purchases.event_id is null then 'missing'
      when purchases.purchase_revenue <> orders.order_total then 'different_amount'
      when purchases.purchase_date <> orders.order_date then 'late'
      else 'matched'
    end as finding,
    case
      when purchases.event_id is not null then null
      when orders.source_name <> 'web' then 'sold_offline'
      when likely.event_id is not null then 'id_lost'
      else 'unexplained'
    end as reason
  from {{ rows_of('dated_orders', 'order_id') }} as orders
  left join purchases on orders.order_id = purchases.order_id and purchases.purchase_number = 1
  left join {{ ref('likely_orders') }} as likely on orders.order_id = likely.order_id
),

left_over as (
  select
    'ga4.' || purchases.event_id as reconciliation_id,
    case when purchases.order_id is null then 'unknown_order' else 'double' end as finding,
    case
      when purchases.order_id is not null then 'sent_again'
      when likely.order_id is not null then 'id_lost'
      else purchases.unknown_reason
    end as reason,
    coalesce(purchases.order_id, likely.order_id) as order_id,
    {% for name in order_columns[1:] -%}
    orders.{{ name }},
    {% endfor -%}
    orders.channel as order_channel,
    coalesce(orders.currency, '{{ var("shop_currency") }}') as currency,
    purchases.event_id,
    purchases.transaction_id,
    purchases.purchased_at,
    purchases.purchase_date,
    purchases.purchase_revenue,
    purchases.purchase_channel,
    purchases.has_session,
    cast(1 as bigint) as event_count
  from purchases
  left join {{ ref('likely_orders') }} as likely on purchases.event_id = likely.event_id
  left join {{ ref('dated_orders') }} as orders on coalesce(purchases.order_id, likely.order_id) = orders.order_id
  where purchases.order_id is null or purchases.purchase_number > 1
)

select
  {{ columns | join(',\n  ') }},
  {{ money('purchase_revenue - order_total') }} as amount_difference,
  {{ epoch_seconds('purchased_at') }} - {{ epoch_seconds('ordered_at') }} as delay_seconds
from (
  select {{ columns | join(', ') }}
  from paired
  union all
  select {{ columns | join(', ') }}
  from left_over
) as everything
