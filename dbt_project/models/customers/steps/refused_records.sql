{{ config(materialized=kept_table(), kept_by='row') }}
-- what the shop's data cannot mean: the reason, the field, and whether the record is left out of the marts
with findings as (
  {% set latest = days_after(as_of(), 1) -%}
  select
    'shopify.orders' as stream, order_id as record_id, 'unknown_currency' as reason, 'currencyCode' as field,
    currency as found, true as is_excluded, landed_at
  from {{ ref('stg_shopify__orders') }}
  where
    currency is null
    or currency not in (
      {% for codes in var('known_currencies') | batch(16) -%}
      '{{ codes | join("', '") }}'{{ ',' if not loop.last }}
      {% endfor %}
    )
  union all
  select 'shopify.orders', order_id, 'date_in_future', 'createdAt', cast(created_at as string), true, landed_at
  from {{ ref('stg_shopify__orders') }}
  where created_at is null or created_at > {{ latest }}
  union all
  select 'shopify.orders', order_id, 'date_before_2000', 'createdAt', cast(created_at as string), true, landed_at
  from {{ ref('stg_shopify__orders') }}
  where created_at < cast('2000-01-01 00:00:00' as timestamp)
  union all
  select 'shopify.orders', order_id, 'negative_total', 'totalPriceSet', cast(order_total as string), true, landed_at
  from {{ ref('stg_shopify__orders') }}
  where order_total is null or order_total < 0
  union all
  select 'shopify.orders', order_id, 'refund_above_total', 'totalRefundedSet', cast(refunded_total as string), false, landed_at
  from {{ ref('stg_shopify__orders') }}
  where refunded_total > order_total
  union all
  select 'shopify.orders', order_id, 'negative_discount', 'totalDiscountsSet', cast(discount_total as string), false, landed_at
  from {{ ref('stg_shopify__orders') }}
  where discount_total < 0
  union all
  select 'shopify.orders', order_id, 'negative_refund', 'totalRefundedSet', cast(refunded_total as string), false, landed_at
  from {{ ref('stg_shopify__orders') }}
  where refunded_total < 0
  union all
  select
    'shopify.refunds', refunds.refund_id, 'negative_refund', 'totalRefundedSet', cast(refunds.refund_amount as string), true,
    orders.landed_at
  from {{ ref('stg_shopify__refunds') }} as refunds
  inner join {{ ref('stg_shopify__orders') }} as orders on refunds.order_id = orders.order_id
  where refunds.refund_amount < 0
  union all
  select 'shopify.orders', order_id, 'not_an_email', 'email', '(withheld)', false, landed_at
  from {{ ref('stg_shopify__orders') }}
  where nullif({{ fold_characters('email_as_given') }}, '') is not null and email is null
  union all
  select
    'shopify.order_lines',
    lines.order_line_id,
    case when coalesce(lines.quantity, -1) < 0 then 'negative_quantity' else 'impossible_quantity' end,
    case when lines.quantity between 0 and 1000000 then 'currentQuantity' else 'quantity' end,
    cast(case when lines.quantity between 0 and 1000000 then lines.current_quantity else lines.quantity end as string),
    not coalesce(lines.quantity between 0 and 1000000, false),
    orders.landed_at
  from {{ ref('stg_shopify__order_lines') }} as lines
  inner join {{ ref('stg_shopify__orders') }} as orders on lines.order_id = orders.order_id
  where
    lines.quantity is null or lines.quantity < 0 or lines.quantity > 1000000
    or lines.current_quantity < 0 or lines.current_quantity > lines.quantity
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
  union all
  select
    'hubspot.contacts', hubspot_contact_id, case when birth_date is null then 'not_a_date' else 'impossible_birth_date' end,
    'date_of_birth', '(withheld)', false, landed_at
  from {{ ref('stg_hubspot__contacts') }}
  where birth_date_as_given is not null and coalesce(not ({{ is_possible_birth_date('birth_date') }}), true)
)

select * from findings
