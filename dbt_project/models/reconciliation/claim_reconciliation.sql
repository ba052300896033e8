with totals as (
  select * from {{ ref('claims_and_orders') }}
),

reasons as (
  select
    activity_date, platform, channel, currency,
    sum(case when reason = 'unexplained' then order_count else 0 end) as unexplained_count,
    sum(case when reason = 'unexplained' then revenue else 0 end) as unexplained_revenue,
    {{ distinct_text('reason') }} as reasons
  from {{ ref('claim_differences') }}
  group by activity_date, platform, channel, currency
)

select
  totals.activity_date,
  totals.platform,
  totals.channel,
  totals.currency,
  totals.claimed_count,
  totals.shown_count,
  cast(totals.claimed_count - totals.shown_count as decimal(18, 4)) as difference_count,
  cast(coalesce(reasons.unexplained_count, 0) as decimal(18, 4)) as unexplained_count,
  totals.claimed_revenue,
  totals.shown_revenue,
  {{ money('totals.claimed_revenue - totals.shown_revenue') }} as difference_revenue,
  {{ summed('reasons.unexplained_revenue') }} as unexplained_revenue,
  reasons.reasons
from totals
left join reasons
  on
    totals.activity_date = reasons.activity_date and totals.platform = reasons.platform
    and totals.channel = reasons.channel and totals.currency = reasons.currency
