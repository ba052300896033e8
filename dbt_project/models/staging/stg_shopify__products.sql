{{ config(materialized=kept_table(), kept_by='row') }}
with versions as (
  {{ newest_version(source('raw_shopify', 'products'), 'id', 'updatedAt') }}
)

select
  id as product_id,
  title as product_title,
  vendor,
  coalesce(nullif({{ fold_width('productType') }}, ''), 'uncategorised') as category,
  status as product_status,
  {{ list_text('tags') }} as tags,
  createdAt as created_at,
  updatedAt as updated_at,
  is_deleted
from versions
