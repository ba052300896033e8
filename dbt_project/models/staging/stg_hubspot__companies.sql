with versions as (
  {{ newest_version(source('raw_hubspot', 'companies'), 'id', 'updatedAt') }}
)

select
  id as hubspot_company_id,
  properties.name as company_name,
  lower(properties.domain) as domain,
  properties.industry as industry,
  createdAt as created_at,
  updatedAt as updated_at,
  is_deleted or coalesce(archived, false) as is_deleted
from versions
