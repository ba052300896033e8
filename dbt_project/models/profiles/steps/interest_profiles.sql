{{ config(
  materialized=kept_table(), kept_by='customer_id', kept_from=['category_affinities', 'brand_affinities'], kept_log=false
) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('category_affinities') }}
union all
select customer_id from {{ changes_of('brand_affinities') }}
union all
select customer_id from {{ ref('category_affinities') }} where {{ has_passed('last_viewed_at', [90]) }}
{% endcall -%}
-- a customer's affinities on one line
with categories as (
  select * from {{ rows_of('category_affinities', 'customer_id') }}
  where affinity_score > 0
),

brands as (
  select * from {{ rows_of('brand_affinities', 'customer_id') }}
  where affinity_score > 0
),

wished as (
  select
    customer_id,
    category,
    row_number() over (partition by customer_id order by last_viewed_at desc, category asc) as wish_rank
  from categories
  where purchase_count = 0 and last_viewed_at >= {{ days_before(as_of(), 90) }}
),

by_category as (
  select
    customer_id,
    count(*) as interest_count,
    {% for rank in range(1, 4) -%}
    max(case when affinity_rank = {{ rank }} then category end) as interest_{{ rank }},
    {% endfor -%}
    max(affinity_share) as top_category_share
  from categories
  group by customer_id
),

by_brand as (
  select
    customer_id,
    {% for rank in range(1, 4) -%}
    max(case when affinity_rank = {{ rank }} then brand end) as brand_{{ rank }},
    {% endfor -%}
    max(affinity_share) as top_brand_share
  from brands
  group by customer_id
)

select
  by_category.customer_id,
  by_category.interest_count,
  concat_ws(', ', by_category.interest_1, by_category.interest_2, by_category.interest_3) as interests,
  by_category.interest_1 as top_category,
  by_category.top_category_share,
  by_brand.brand_1 as top_brand,
  nullif(concat_ws(', ', by_brand.brand_1, by_brand.brand_2, by_brand.brand_3), '') as favourite_brands,
  by_brand.top_brand_share,
  wished.category as unbought_interest
from by_category
left join by_brand on by_category.customer_id = by_brand.customer_id
left join wished on by_category.customer_id = wished.customer_id and wished.wish_rank = 1
