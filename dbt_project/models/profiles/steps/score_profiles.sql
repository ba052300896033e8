-- a customer's newest scores, side by side
with propensity as (
  select * from {{ ref('stg_scores__propensity') }}
),

best_categories as (
  select
    customer_id,
    category,
    purchase_probability,
    row_number() over (partition by customer_id order by purchase_probability desc, category asc) as category_rank
  from propensity
  where category <> 'any'
),

customers as (
  select customer_id from {{ ref('stg_scores__churn') }}
  union distinct
  select customer_id from propensity
)

select
  customers.customer_id,
  churn.churn_probability,
  likely.purchase_probability,
  best_categories.category as next_best_category,
  best_categories.purchase_probability as next_category_probability
from customers
left join {{ ref('stg_scores__churn') }} as churn on customers.customer_id = churn.customer_id
left join propensity as likely on customers.customer_id = likely.customer_id and likely.category = 'any'
left join best_categories on customers.customer_id = best_categories.customer_id and best_categories.category_rank = 1
