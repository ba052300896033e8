-- due again by the customer's own rhythm: of the categories they buy regularly, the one most often bought
with due as (
  select
    rhythms.*,
    row_number() over (
      partition by rhythms.customer_id order by rhythms.order_count desc, rhythms.category asc
    ) as category_rank
  from {{ ref('category_rhythms') }} as rhythms
  inner join {{ ref('category_journey_stages') }} as stages
    on rhythms.customer_id = stages.customer_id and rhythms.category = stages.category
  where
    stages.stage = 'loyalty'
    and rhythms.mean_gap_days >= 7
    -- from three days before it is due until a week after
    and rhythms.next_due_at < {{ days_after(as_of(), 3) }}
    and rhythms.next_due_at >= {{ days_before(as_of(), 7) }}
)

select
  customer_id,
  category as due_category,
  last_ordered_at,
  next_due_at,
  mean_gap_days,
  order_count as category_order_count
from due
where category_rank = 1
