with versions as (
  {{ newest_version(source('raw_mailchimp', 'reports'), 'id', 'send_time') }}
)

select
  id as campaign_id,
  list_id,
  campaign_title as campaign_name,
  subject_line as subject,
  send_time as sent_at,
  coalesce(emails_sent, 0) as sent_count,
  coalesce(opens.unique_opens, 0) as unique_open_count,
  coalesce(clicks.unique_subscriber_clicks, 0) as unique_click_count,
  coalesce(bounces.hard_bounces, 0) as hard_bounce_count,
  coalesce(bounces.soft_bounces, 0) as soft_bounce_count,
  coalesce(unsubscribed, 0) as unsubscribe_count,
  coalesce(abuse_reports, 0) as complaint_count,
  coalesce(ecommerce.total_orders, 0) as claimed_order_count,
  {{ money('coalesce(ecommerce.total_revenue, 0)') }} as claimed_revenue,
  ecommerce.currency_code as currency,
  is_deleted
from versions
