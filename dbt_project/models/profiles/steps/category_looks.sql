{{ config(materialized=kept_table(), kept_by='customer_id', kept_from=['stg_ga4__items', 'sessions']) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('sessions') }}
union all
select customer_id from {{ ref('sessions') }}
where session_id in (
  select session_id from {{ changes_of('stg_ga4__items') }}
  union all
  select session_id from {{ ref('stg_ga4__items') }} where {{ has_passed('event_at') }}
)
{% endcall -%}
-- what a customer looked at and put in the basket on the site, by category
with items as (
  select * from {{ ref('stg_ga4__items') }}
  where event_name in ('view_item', 'add_to_cart') and event_at < {{ as_of() }} and category is not null
),

weighed as (
  select
    sessions.customer_id,
    items.category,
    items.event_name = 'view_item' as is_view,
    items.event_at,
    {{ decayed_weight('items.event_at') }} as weight
  from items
  inner join {{ rows_of('sessions', 'customer_id') }} as sessions on items.session_id = sessions.session_id
  where sessions.customer_id is not null
),

summed as (
  select
    customer_id,
    category,
    sum(case when is_view then 1 else 0 end) as view_count,
    sum(case when is_view then 0 else 1 end) as basket_count,
    sum(case when is_view then weight else 0 end) as view_weight,
    sum(case when is_view then 0 else weight end) as basket_weight,
    max(event_at) as last_viewed_at
  from weighed
  group by customer_id, category
),

-- spelled as the catalogue's categories are, which staging has folded; after the sums, for it takes long
spelled as (
  select
    customer_id,
    {{ fold_width('category') }} as category,
    view_count,
    basket_count,
    view_weight,
    basket_weight,
    last_viewed_at
  from summed
)

select
  customer_id,
  category,
  cast(sum(view_count) as bigint) as view_count,
  cast(sum(basket_count) as bigint) as basket_count,
  cast(sum(view_weight) as bigint) as view_weight,
  cast(sum(basket_weight) as bigint) as basket_weight,
  max(last_viewed_at) as last_viewed_at
from spelled
group by customer_id, category
