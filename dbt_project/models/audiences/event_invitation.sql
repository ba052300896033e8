-- customers in good standing who live where the next event takes place
select
  stages.customer_id,
  customers.region,
  customers.city,
  customers.favourite_category
from {{ ref('journey_stages') }} as stages
inner join {{ ref('customer_360') }} as customers on stages.customer_id = customers.customer_id
where
  stages.stage in ('purchase', 'evaluation', 'loyalty', 'decision')
  and customers.order_count > 0
  and customers.region in (
    {% for region in var('event_regions') %}
    {{ quoted(region) }}{{ ',' if not loop.last }}
    {% endfor %}
  )
