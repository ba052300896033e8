with versions as (
  {{ newest_version(source('raw_hubspot', 'contacts'), 'id', 'updatedAt') }}
)

select
  id as hubspot_contact_id,
  nullif({{ fold_width('properties.firstname') }}, '') as first_name,
  nullif({{ fold_width('properties.lastname') }}, '') as last_name,
  {{ name_key('properties.firstname', 'properties.lastname') }} as name_key,
  nullif({{ trimmed('properties.email') }}, '') as email_as_given,
  {{ normalise_email('properties.email') }} as email,
  nullif({{ trimmed('coalesce(properties.mobilephone, properties.phone)') }}, '') as phone_as_given,
  {{ normalise_phone('properties.phone', normalise_country('properties.country')) }} as phone,
  {{ normalise_phone('properties.mobilephone', normalise_country('properties.country')) }} as mobile_phone,
  {{ normalise_country('properties.country') }} as country,
  {{ fold_width('properties.state') }} as region,
  {{ fold_width('properties.city') }} as city,
  {{ normalise_postal_code('properties.zip') }} as postal_code,
  {{ address_key('properties.address') }} as address_key,
  nullif({{ trimmed('properties.date_of_birth') }}, '') as birth_date_as_given,
  {{ normalise_date('properties.date_of_birth') }} as birth_date,
  nullif(properties.lifecyclestage, '') as crm_stage,
  {{ replace_pattern('properties.shopify_customer_id', '[^0-9]', '') }} as shopify_customer_number,
  lower(properties.hs_email_optout) = 'true' as has_opted_out,
  nullif(properties.hs_merged_object_ids, '') as merged_contact_ids,
  createdAt as created_at,
  updatedAt as updated_at,
  is_deleted or coalesce(archived, false) as is_deleted,
  associations.companies.results as company_links,
  _landed_at as landed_at
from versions
