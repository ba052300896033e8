{{ config(materialized=kept_table(), kept_by='row', kept_log=past_snapshots()) }}
-- the ten largest categories at each snapshot
with category_days as (
  select
    category,
    cast(ordered_at as date) as ordered_date,
    count(*) as order_count
  from {{ ref('customer_categories') }}
  group by category, cast(ordered_at as date)
),

-- largest by orders in the year before the snapshot, so that even the choice of categories knows nothing later
ranked_categories as (
  select
    dates.as_of,
    category_days.category,
    row_number() over (
      partition by dates.as_of order by sum(category_days.order_count) desc, category_days.category asc
    ) as size_rank
  from category_days
  inner join {{ ref('snapshot_dates') }} as dates
    on
      category_days.ordered_date < cast(dates.as_of as date)
      and category_days.ordered_date >= cast({{ days_before('dates.as_of', 365) }} as date)
  where category_days.category <> 'uncategorised'
  group by dates.as_of, category_days.category
)

select
  as_of,
  category
from ranked_categories
where size_rank <= 10
