{{ config(materialized=kept_table(), kept_by='row') }}
with versions as (
  {{ newest_version(source('raw_shopify', 'abandoned_checkouts'), 'id', 'updatedAt') }}
)

-- abandonedCheckoutUrl opens a person's basket without a password and therefore stays in raw
select
  id as checkout_id,
  customer.id as shopify_customer_id,
  createdAt as created_at,
  updatedAt as updated_at,
  completedAt as completed_at,
  coalesce(totalPriceSet.shopMoney.currencyCode, '{{ var("shop_currency") }}') as currency,
  {{ money('totalPriceSet.shopMoney.amount') }} as cart_total,
  is_deleted,
  lineItems as line_items
from versions
