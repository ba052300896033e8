-- how a customer looks at prices and labels, from what they bought and kept
with purchases as (
  select
    totals.*,
    {{ money('prices.median_unit_price * totals.priced_item_count') }} as median_total,
    case when prices.median_unit_price is not null then totals.list_total end as compared_list_total
  from {{ ref('purchase_totals') }} as totals
  left join {{ ref('category_prices') }} as prices on totals.category = prices.category
),

summed as (
  select
    customer_id,
    sum(item_count) as item_count,
    sum(items_below_list) as items_below_list,
    sum(list_total) as list_total,
    sum(net_total) as net_total,
    sum(compared_list_total) as compared_list_total,
    sum(median_total) as median_total,
    sum(case when label = 'own' then net_total else 0 end) as private_label_total,
    sum(case when label <> 'unknown' then net_total else 0 end) as labelled_total
  from purchases
  group by customer_id
),

rated as (
  select
    customer_id,
    item_count,
    {{ ratio('items_below_list', 'item_count') }} as discounted_item_rate,
    {{ ratio('list_total - net_total', 'list_total') }} as saved_rate,
    {{ ratio('compared_list_total', 'median_total') }} as price_index,
    {{ ratio('private_label_total', 'labelled_total') }} as private_label_rate
  from summed
)

select
  *,
  case
    when price_index < 0.85 then 'budget'
    when price_index <= 1.15 then 'middle'
    when price_index > 1.15 then 'premium'
  end as price_tier
from rated
