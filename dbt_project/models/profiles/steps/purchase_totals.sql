{{ config(materialized=kept_table(), kept_by='customer_id', kept_from=['order_lines', 'stg_shopify__products']) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('order_lines') }}
union all
select customer_id from {{ ref('order_lines') }} where {{ has_passed('ordered_at', [0, 365]) }}
union all
select customer_id from {{ ref('order_lines') }}
where product_id in (select product_id from {{ changes_of('stg_shopify__products') }})
{% endcall -%}
-- a customer's lines up to the as-of time, added up once by category, maker and label; everything said about what
-- somebody buys is derived from here
with lines as (
  select * from {{ rows_of('order_lines', 'customer_id') }}
  where customer_id is not null and ordered_at < {{ as_of() }}
),

products as (
  select
    product_id,
    coalesce(nullif(vendor, ''), 'unknown') as vendor,
    case when ',' || tags || ',' like '%,{{ var("private_label_tag") }},%' then 'own' else 'other' end as label
  from {{ ref('stg_shopify__products') }}
),

weighed as (
  select
    lines.*,
    -- a product that has left the catalogue
    coalesce(products.vendor, 'unknown') as vendor,
    coalesce(products.label, 'unknown') as label,
    lines.net_quantity > 0 as is_kept,
    lines.discounted_unit_price < lines.original_unit_price as is_below_list,
    lines.currency = '{{ var("shop_currency") }}' as is_shop_currency,
    {{ decayed_weight('lines.ordered_at') }} as weight
  from lines
  left join products on lines.product_id = products.product_id
)

select
  customer_id,
  category,
  vendor,
  label,
  cast(sum(case when ordered_at >= {{ days_before(as_of(), 365) }} then 1 else 0 end) as bigint) as line_count_365d,
  cast(sum(case when is_kept then 1 else 0 end) as bigint) as purchase_count,
  cast(sum(case when is_kept then weight else 0 end) as bigint) as purchase_weight,
  cast(sum(net_quantity) as bigint) as item_count,
  cast(sum(case when is_below_list then net_quantity else 0 end) as bigint) as items_below_list,
  -- money only of the shop's own currency; customer_currency_spend has the others
  cast(sum(case when is_shop_currency then net_quantity else 0 end) as bigint) as priced_item_count,
  {{ money('sum(case when is_shop_currency then original_unit_price * net_quantity else 0 end)') }} as list_total,
  {{ money('sum(case when is_shop_currency then net_line_total else 0 end)') }} as net_total,
  min(case when is_kept then ordered_at end) as first_bought_at,
  max(case when is_kept then ordered_at end) as last_bought_at
from weighed
group by customer_id, category, vendor, label
