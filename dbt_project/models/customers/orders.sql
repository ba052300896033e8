{{ config(
  kept_by='order_id', kept_from=['stg_shopify__orders', 'stg_shopify__refunds', 'refused_records', 'identity_clusters']
) }}
{% call keys_that_changed() %}
select order_id from {{ changes_of('stg_shopify__orders') }}
union all
select order_id from {{ changes_of('stg_shopify__refunds') }}
union all
select record_id from {{ changes_of('refused_records') }} where stream = 'shopify.orders'
union all
select record_id from {{ changes_of('identity_clusters') }} where record_type = 'shopify.orders'
union all
select order_id from {{ ref('stg_shopify__orders') }}
where shopify_customer_id in (
  select record_id from {{ changes_of('identity_clusters') }} where record_type = 'shopify.customers'
)
{% endcall -%}
with orders as (
  select * from {{ rows_of('stg_shopify__orders', 'order_id') }}
),

accounts as (
  select record_id, customer_id
  from {{ ref('identity_clusters') }}
  where record_type = 'shopify.customers'
),

guests as (
  select record_id, customer_id
  from {{ ref('identity_clusters') }}
  where record_type = 'shopify.orders'
),

refunds as (
  select
    order_id,
    {{ money('sum(refund_amount)') }} as refunded_total
  from {{ rows_of('stg_shopify__refunds', 'order_id') }}
  where refund_amount >= 0
  group by order_id
),

refused as (
  select record_id
  from {{ ref('refused_records') }}
  where stream = 'shopify.orders' and is_excluded
)

select
  orders.order_id,
  orders.order_name,
  coalesce(accounts.customer_id, guests.customer_id) as customer_id,
  orders.shopify_customer_id is null as is_guest,
  orders.created_at as ordered_at,
  orders.cancelled_at,
  orders.cancelled_at is not null as is_cancelled,
  orders.financial_status,
  orders.fulfillment_status,
  orders.source_name,
  orders.discount_codes,
  coalesce(orders.discount_total, 0) > 0 as has_discount,
  orders.currency,
  orders.order_total,
  orders.subtotal,
  {{ money('greatest(coalesce(orders.discount_total, 0), 0)') }} as discount_total,
  coalesce(orders.tax_total, {{ money('0') }}) as tax_total,
  coalesce(orders.shipping_total, {{ money('0') }}) as shipping_total,
  {{ money('greatest(coalesce(refunds.refunded_total, orders.refunded_total, 0), 0)') }} as refunded_total,
  -- what the shop kept; a cancelled order keeps nothing, and nobody is paid more than they gave
  case
    when orders.cancelled_at is not null then {{ money('0') }}
    else {{ money("greatest(orders.order_total - greatest(coalesce(refunds.refunded_total, orders.refunded_total, 0), 0), 0)") }}
  end as net_total
from orders
left join accounts on orders.shopify_customer_id = accounts.record_id
left join guests on orders.order_id = guests.record_id
left join refunds on orders.order_id = refunds.order_id
left join refused on orders.order_id = refused.record_id
where not orders.is_test and not orders.is_deleted and refused.record_id is null
