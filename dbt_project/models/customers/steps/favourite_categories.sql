-- what a customer buys most, by orders in the year before the as-of time
with lines as (
  select * from {{ ref('order_lines') }}
),

products as (
  select product_id, vendor
  from {{ ref('stg_shopify__products') }}
),

recent as (
  select
    lines.customer_id,
    lines.order_id,
    lines.category,
    products.vendor
  from lines
  left join products on lines.product_id = products.product_id
  where
    lines.customer_id is not null
    and lines.ordered_at < {{ as_of() }}
    and lines.ordered_at >= {{ days_before(as_of(), 365) }}
),

categories as (
  select
    customer_id,
    category,
    row_number() over (partition by customer_id order by count(distinct order_id) desc, category asc) as category_rank
  from recent
  where category <> 'uncategorised'
  group by customer_id, category
),

vendors as (
  select
    customer_id,
    vendor,
    row_number() over (partition by customer_id order by count(distinct order_id) desc, vendor asc) as vendor_rank
  from recent
  where vendor is not null
  group by customer_id, vendor
)

select
  categories.customer_id,
  max(case when categories.category_rank = 1 then categories.category end) as favourite_category,
  max(case when categories.category_rank = 2 then categories.category end) as second_category,
  max(case when categories.category_rank = 3 then categories.category end) as third_category,
  max(vendors.vendor) as favourite_vendor
from categories
left join vendors on categories.customer_id = vendors.customer_id and vendors.vendor_rank = 1
where categories.category_rank <= 3
group by categories.customer_id
