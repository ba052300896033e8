-- a basket left between an hour and two weeks ago, and nothing ordered since; the newest one of a customer
with carts as (
  select
    *,
    row_number() over (partition by customer_id order by updated_at desc, cart_id asc) as cart_rank
  from {{ ref('carts') }}
  where
    is_open
    and customer_id is not null
    and updated_at < {{ as_of() }} - interval '1' hour
    and updated_at >= {{ days_before(as_of(), 14) }}
)

select
  carts.customer_id,
  carts.cart_id,
  carts.updated_at as cart_updated_at,
  carts.cart_total,
  carts.currency,
  carts.item_count,
  carts.top_product
from carts
inner join {{ ref('customers') }} as customers on carts.customer_id = customers.customer_id
where carts.cart_rank = 1
