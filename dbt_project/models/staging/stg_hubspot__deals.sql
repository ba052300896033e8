with versions as (
  {{ newest_version(source('raw_hubspot', 'deals'), 'id', 'updatedAt') }}
)

select
  id as hubspot_deal_id,
  properties.dealname as deal_name,
  try_cast(properties.amount as decimal(18, 2)) as deal_amount,
  properties.deal_currency_code as currency,
  lower(properties.dealstage) as deal_stage,
  properties.pipeline as pipeline,
  try_cast(properties.closedate as timestamp) as closed_at,
  createdAt as created_at,
  updatedAt as updated_at,
  is_deleted or coalesce(archived, false) as is_deleted,
  associations.contacts.results as contact_links
from versions
