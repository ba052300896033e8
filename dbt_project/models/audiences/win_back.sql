-- loyal once, silent now: three orders or more, none for 30 days, and likely to stay away
with snapshots as (
  select * from {{ ref('customer_snapshots') }}
  where as_of = {{ as_of() }}
),

scores as (
  select * from {{ ref('stg_scores__churn') }}
)

select
  snapshots.customer_id,
  scores.churn_probability,
  snapshots.days_since_last_order,
  snapshots.order_count,
  snapshots.lifetime_spend
from snapshots
left join scores on snapshots.customer_id = scores.customer_id
where
  snapshots.order_count >= 3
  and snapshots.days_since_last_order >= 30
  and coalesce(scores.churn_probability >= 0.5, snapshots.days_since_last_order >= 60)
