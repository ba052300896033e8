{{ config(meta={'dagster': {'ref': {'name': 'orders'}}}) }}
-- every order the shop sent is in the mart, or there is a reason: a test order, deleted, or a row in rejected_records
select orders.order_id
from {{ ref('stg_shopify__orders') }} as orders
left join {{ ref('orders') }} as mart on orders.order_id = mart.order_id
left join {{ ref('rejected_records') }} as rejected
  on orders.order_id = rejected.record_id and rejected.stream = 'shopify.orders' and rejected.is_excluded
where mart.order_id is null and rejected.record_id is null and not orders.is_test and not orders.is_deleted
