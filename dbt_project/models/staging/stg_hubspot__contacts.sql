{{ config(materialized=kept_table(), kept_by='hubspot_contact_id', kept_files=['raw_hubspot.contacts']) }}
{% call keys_that_changed() %}
select id as hubspot_contact_id from {{ new_rows('raw_hubspot', 'contacts') }}
{% endcall -%}
with versions as (
  {{ newest_version(raw_rows_of('raw_hubspot', 'contacts', 'id'), 'id', 'updatedAt') }}
),

addresses as (
  {{ address_parts(
    'versions', 'id', country=normalise_country('properties.country'), prefecture='properties.state', city='properties.city',
    line='properties.address', second_line='cast(null as string)'
  ) }}
),

located as (
  select
    versions.*,
    addresses.prefecture,
    addresses.city as municipality,
    addresses.town,
    addresses.block,
    addresses.building,
    addresses.block_key
  from versions
  left join addresses on versions.id = addresses.address_of
)

select
  id as hubspot_contact_id,
  nullif({{ fold_width('properties.firstname') }}, '') as first_name,
  nullif({{ fold_width('properties.lastname') }}, '') as last_name,
  {{ kana_name('properties.firstname', 'properties.lastname') }} as kana_name,
  {{ name_key('properties.firstname', 'properties.lastname') }} as name_key,
  {{ romaji_key('properties.firstname', 'properties.lastname') }} as romaji_key,
  nullif({{ trimmed('properties.email') }}, '') as email_as_given,
  {{ normalise_email('properties.email') }} as email,
  {{ email_key('email') }} as email_key,
  nullif({{ trimmed('coalesce(properties.mobilephone, properties.phone)') }}, '') as phone_as_given,
  {{ normalise_phone('properties.phone', normalise_country('properties.country')) }} as phone,
  {{ normalise_phone('properties.mobilephone', normalise_country('properties.country')) }} as mobile_phone,
  {{ normalise_country('properties.country') }} as country,
  {{ fold_width('properties.state') }} as region,
  prefecture,
  coalesce(municipality, {{ fold_width('properties.city') }}) as city,
  town,
  block,
  building,
  {{ normalise_postal_code('properties.zip') }} as postal_code,
  nullif({{ trimmed('properties.date_of_birth') }}, '') as birth_date_as_given,
  coalesce(block_key, {{ address_key('properties.address') }}) as address_key,
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
from located
