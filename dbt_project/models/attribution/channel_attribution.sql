with credited as (
  select
    attribution_model,
    channel,
    currency,
    sum(case when is_last_of_channel and not is_cancelled then 1 else 0 end) as touched_order_count,
    sum(case when is_cancelled then cast(0 as decimal(18, 6)) else credit end) as credited_order_count,
    sum(credited_revenue) as credited_revenue
  from {{ ref('attributed_orders') }}
  group by attribution_model, channel, currency
)

select
  attribution_model,
  channel,
  currency,
  cast(touched_order_count as bigint) as touched_order_count,
  cast(credited_order_count as decimal(18, 6)) as credited_order_count,
  {{ ratio('credited_order_count', 'sum(credited_order_count) over (partition by attribution_model, currency)') }}
    as order_share,
  {{ money('credited_revenue') }} as credited_revenue,
  {{ ratio('credited_revenue', 'sum(credited_revenue) over (partition by attribution_model, currency)') }} as revenue_share
from credited
