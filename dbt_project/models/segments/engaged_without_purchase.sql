-- comes to look, twice or more within 30 days, and has never bought
with visits as (
  select
    customer_id,
    count(*) as session_count
  from {{ ref('sessions') }}
  where
    customer_id is not null
    and started_at >= {{ days_before(as_of(), 30) }}
    and started_at < {{ as_of() }}
    and (product_view_count > 0 or cart_addition_count > 0)
  group by customer_id
)

select visits.customer_id
from visits
inner join {{ ref('customer_360') }} as customers on visits.customer_id = customers.customer_id
where visits.session_count >= 2 and customers.order_count = 0
