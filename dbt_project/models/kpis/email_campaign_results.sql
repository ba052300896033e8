with sales as (
  select
    campaign,
    currency,
    {{ order_sums() }}
  from {{ ref('dated_orders') }}
  where channel = 'email'
  group by campaign, currency
),

visits as (
  select
    campaign,
    sum(session_count) as session_count
  from {{ ref('dated_visits') }}
  where channel = 'email'
  group by campaign
),

campaigns as (
  select
    *,
    hard_bounce_count + soft_bounce_count as bounce_count,
    sent_count - hard_bounce_count - soft_bounce_count as delivered_count
  from {{ ref('email_campaigns') }}
  where sent_at < {{ as_of() }}
)

select
  campaigns.campaign_id,
  campaigns.campaign_name,
  {{ shop_date('campaigns.sent_at') }} as sent_date,
  {{ counted('campaigns.sent_count') }} as sent_count,
  {{ counted('campaigns.bounce_count') }} as bounce_count,
  {{ counted('campaigns.delivered_count') }} as delivered_count,
  {{ counted('campaigns.unique_open_count') }} as unique_open_count,
  {{ counted('campaigns.unique_click_count') }} as unique_click_count,
  {{ counted('campaigns.unsubscribe_count') }} as unsubscribe_count,
  {{ ratio('campaigns.bounce_count', 'campaigns.sent_count') }} as bounce_rate,
  {{ ratio('campaigns.unique_open_count', 'campaigns.delivered_count') }} as open_rate,
  {{ ratio('campaigns.unique_click_count', 'campaigns.delivered_count') }} as click_rate,
  {{ ratio('campaigns.unique_click_count', 'campaigns.unique_open_count') }} as click_to_open_rate,
  {{ ratio('campaigns.unsubscribe_count', 'campaigns.delivered_count') }} as unsubscribe_rate,
  {{ counted('visits.session_count') }} as session_count,
  {{ counted('sales.kept_order_count') }} as kept_order_count,
  campaigns.currency,
  {{ summed('sales.net_sales') }} as net_sales,
  {{ ratio('coalesce(sales.net_sales, 0)', 'campaigns.delivered_count') }} as sales_per_mail
from campaigns
left join visits on campaigns.campaign_name = visits.campaign
left join sales on campaigns.campaign_name = sales.campaign and campaigns.currency = sales.currency
