{{ config(
  materialized=kept_table(), kept_by='customer_id', kept_from=['customer_categories', 'purchase_totals'], kept_log=false
) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('customer_categories') }}
union all
select customer_id from {{ ref('customer_categories') }} where {{ has_passed('ordered_at', [0, 365]) }}
union all
select customer_id from {{ changes_of('purchase_totals') }}
{% endcall -%}
-- what a customer buys most, in the year before the as-of time: categories by orders, makers by lines
with categories as (
  select
    customer_id,
    category,
    row_number() over (partition by customer_id order by count(*) desc, category asc) as category_rank
  from {{ rows_of('customer_categories', 'customer_id') }}
  where
    category <> 'uncategorised'
    and ordered_at < {{ as_of() }}
    and ordered_at >= {{ days_before(as_of(), 365) }}
  group by customer_id, category
),

vendors as (
  select
    customer_id,
    vendor,
    row_number() over (partition by customer_id order by sum(line_count_365d) desc, vendor asc) as vendor_rank
  from {{ rows_of('purchase_totals', 'customer_id') }}
  where vendor <> 'unknown' and line_count_365d > 0
  group by customer_id, vendor
),

top_categories as (
  select
    customer_id,
    max(case when category_rank = 1 then category end) as favourite_category,
    max(case when category_rank = 2 then category end) as second_category,
    max(case when category_rank = 3 then category end) as third_category
  from categories
  where category_rank <= 3
  group by customer_id
)

select
  top_categories.customer_id,
  top_categories.favourite_category,
  top_categories.second_category,
  top_categories.third_category,
  vendors.vendor as favourite_vendor
from top_categories
left join vendors on top_categories.customer_id = vendors.customer_id and vendors.vendor_rank = 1
