-- what the shop's data cannot mean: the reason, the field, and whether the record is left out of the marts
with findings as (
  {% set latest = days_after(as_of(), 1) -%}
  select
    'shopify.orders' as stream, order_id as record_id, 'unknown_currency' as reason, 'currencyCode' as field,
    currency as found, true as is_excluded, landed_at
  from {{ ref('stg_shopify__orders') }}
  where currency is null or currency <> '{{ var("shop_currency") }}'
  union all
  select 'shopify.orders', order_id, 'date_in_future', 'createdAt', cast(created_at as string), true, landed_at
  from {{ ref('stg_shopify__orders') }}
  where created_at is null or created_at > {{ latest }}
  union all
  select 'shopify.orders', order_id, 'negative_total', 'totalPriceSet', cast(order_total as string), true, landed_at
  from {{ ref('stg_shopify__orders') }}
  where order_total is null or order_total < 0
  union all
  select 'shopify.orders', order_id, 'refund_above_total', 'totalRefundedSet', cast(refunded_total as string), false, landed_at
  from {{ ref('stg_shopify__orders') }}
  where refunded_total > order_total
  union all
  select 'shopify.orders', order_id, 'not_an_email', 'email', '(withheld)', false, landed_at
  from {{ ref('stg_shopify__orders') }}
  where nullif({{ fold_characters('email_as_given') }}, '') is not null and email is null
  union all
  select
    'shopify.order_lines', lines.order_line_id, 'negative_quantity', 'quantity', cast(lines.quantity as string), true,
    orders.landed_at
  from {{ ref('stg_shopify__order_lines') }} as lines
  inner join {{ ref('stg_shopify__orders') }} as orders on lines.order_id = orders.order_id
  where lines.quantity is null or lines.quantity < 0
  union all
  select 'shopify.customers', shopify_customer_id, 'not_an_email', 'defaultEmailAddress', '(withheld)', false, landed_at
  from {{ ref('stg_shopify__customers') }}
  where nullif({{ fold_characters('email_as_given') }}, '') is not null and email is null
  union all
  select 'shopify.customers', shopify_customer_id, 'not_a_phone', 'defaultPhoneNumber', '(withheld)', false, landed_at
  from {{ ref('stg_shopify__customers') }}
  where nullif({{ fold_characters('phone_as_given') }}, '') is not null and phone is null and address_phone is null
  union all
  select 'hubspot.contacts', hubspot_contact_id, 'not_an_email', 'email', '(withheld)', false, landed_at
  from {{ ref('stg_hubspot__contacts') }}
  where email_as_given is not null and email is null
  union all
  select 'hubspot.contacts', hubspot_contact_id, 'not_a_phone', 'phone', '(withheld)', false, landed_at
  from {{ ref('stg_hubspot__contacts') }}
  where phone_as_given is not null and phone is null and mobile_phone is null
)

select * from findings
