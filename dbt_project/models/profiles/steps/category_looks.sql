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
  inner join {{ ref('sessions') }} as sessions on items.session_id = sessions.session_id
  where sessions.customer_id is not null
)

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
