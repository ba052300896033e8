{{ config(kept_by='customer_id', kept_from=['purchase_totals', 'category_looks']) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('purchase_totals') }}
union all
select customer_id from {{ changes_of('category_looks') }}
{% endcall -%}
-- what draws a customer, by category: purchases, baskets and looks, each counting less the longer ago it was
with purchases as (
  select
    customer_id,
    category,
    sum(purchase_count) as purchase_count,
    sum(purchase_weight) as purchase_weight,
    sum(item_count) as item_count,
    sum(net_total) as net_total,
    min(first_bought_at) as first_bought_at,
    max(last_bought_at) as last_bought_at
  from {{ rows_of('purchase_totals', 'customer_id') }}
  group by customer_id, category
),

looks as (
  select * from {{ rows_of('category_looks', 'customer_id') }}
),

joined as (
  select
    coalesce(purchases.customer_id, looks.customer_id) as customer_id,
    coalesce(purchases.category, looks.category) as category,
    -- a purchase says four times what a look says, a basket twice
    4 * coalesce(purchases.purchase_weight, 0) + 2 * coalesce(looks.basket_weight, 0) + coalesce(looks.view_weight, 0)
      as weight,
    coalesce(purchases.purchase_count, 0) as purchase_count,
    coalesce(purchases.item_count, 0) as item_count,
    coalesce(purchases.net_total, 0) as net_total,
    coalesce(looks.view_count, 0) as view_count,
    coalesce(looks.basket_count, 0) as basket_count,
    purchases.first_bought_at,
    purchases.last_bought_at,
    looks.last_viewed_at
  from purchases
  full outer join looks on purchases.customer_id = looks.customer_id and purchases.category = looks.category
)

select
  customer_id,
  category,
  {{ ratio('weight', '1000000') }} as affinity_score,
  coalesce({{ ratio('weight', 'sum(weight) over (partition by customer_id)') }}, 0) as affinity_share,
  cast(row_number() over (partition by customer_id order by weight desc, category asc) as bigint) as affinity_rank,
  cast(purchase_count as bigint) as purchase_count,
  cast(item_count as bigint) as item_count,
  {{ money('net_total') }} as net_total,
  '{{ var("shop_currency") }}' as currency,
  cast(view_count as bigint) as view_count,
  cast(basket_count as bigint) as basket_count,
  first_bought_at,
  last_bought_at,
  last_viewed_at
from joined
where category <> 'uncategorised'
