{{ config(kept_by='customer_id', kept_from=['purchase_totals']) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('purchase_totals') }}
{% endcall -%}
-- what draws a customer, by maker: kept purchases, each counting less the longer ago it was
with purchases as (
  select
    customer_id,
    vendor as brand,
    sum(purchase_weight) as weight,
    sum(purchase_count) as purchase_count,
    sum(item_count) as item_count,
    sum(net_total) as net_total,
    min(first_bought_at) as first_bought_at,
    max(last_bought_at) as last_bought_at
  from {{ rows_of('purchase_totals', 'customer_id') }}
  where vendor <> 'unknown'
  group by customer_id, vendor
)

select
  customer_id,
  brand,
  {{ ratio('weight', '1000000') }} as affinity_score,
  coalesce({{ ratio('weight', 'sum(weight) over (partition by customer_id)') }}, 0) as affinity_share,
  cast(row_number() over (partition by customer_id order by weight desc, brand asc) as bigint) as affinity_rank,
  cast(purchase_count as bigint) as purchase_count,
  cast(item_count as bigint) as item_count,
  {{ money('net_total') }} as net_total,
  '{{ var("shop_currency") }}' as currency,
  first_bought_at,
  last_bought_at
from purchases
where purchase_count > 0
