{{ config(materialized=kept_table(), kept_by='row', kept_log=past_snapshots()) }}
-- the checkouts a customer had left behind in the 30 days before a snapshot, neither completed nor ordered after by then
select
  dates.as_of,
  carts.customer_id,
  count(*) as open_carts_30d
from {{ ref('carts') }} as carts
inner join {{ ref('snapshot_dates') }} as dates
  on carts.created_at < dates.as_of and carts.created_at >= {{ days_before('dates.as_of', 30) }}
where
  carts.customer_id is not null
  -- baskets of visits are counted from the visits
  and carts.source = 'shopify'
  and (carts.completed_at is null or carts.completed_at >= dates.as_of)
  and (carts.next_ordered_at is null or carts.next_ordered_at >= dates.as_of)
group by dates.as_of, carts.customer_id
