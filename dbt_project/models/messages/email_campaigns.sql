with campaigns as (
  select * from {{ ref('stg_mailchimp__campaigns') }}
)

select
  campaign_id,
  campaign_name,
  subject,
  sent_at,
  sent_count,
  unique_open_count,
  unique_click_count,
  hard_bounce_count,
  soft_bounce_count,
  unsubscribe_count,
  complaint_count,
  claimed_order_count,
  claimed_revenue,
  currency
from campaigns
where not is_deleted
