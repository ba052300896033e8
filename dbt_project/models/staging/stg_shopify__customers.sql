{{ config(materialized=kept_table(), kept_by='shopify_customer_id', kept_files=['raw_shopify.customers']) }}
{% call keys_that_changed() %}
select id as shopify_customer_id from {{ new_rows('raw_shopify', 'customers') }}
{% endcall -%}
with versions as (
  {{ newest_version(raw_rows_of('raw_shopify', 'customers', 'id'), 'id', 'updatedAt') }}
),

addresses as (
  {{ address_parts(
    'versions', 'id', country='upper(defaultAddress.countryCodeV2)', prefecture=prefecture_of_code('defaultAddress.provinceCode'),
    city='defaultAddress.city', line='defaultAddress.address1', second_line='defaultAddress.address2'
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
  id as shopify_customer_id,
  coalesce(legacyResourceId, {{ replace_pattern('id', '^.*/', '') }}) as shopify_customer_number,
  nullif({{ fold_width('firstName') }}, '') as first_name,
  nullif({{ fold_width('lastName') }}, '') as last_name,
  {{ kana_name('firstName', 'lastName') }} as kana_name,
  {{ name_key('firstName', 'lastName') }} as name_key,
  {{ romaji_key('firstName', 'lastName') }} as romaji_key,
  defaultEmailAddress.emailAddress as email_as_given,
  {{ normalise_email('defaultEmailAddress.emailAddress') }} as email,
  {{ email_key('email') }} as email_key,
  upper(defaultEmailAddress.marketingState) as email_marketing_state,
  upper(defaultEmailAddress.marketingOptInLevel) as email_opt_in_level,
  defaultEmailAddress.marketingUpdatedAt as email_marketing_updated_at,
  coalesce(defaultPhoneNumber.phoneNumber, defaultAddress.phone) as phone_as_given,
  {{ normalise_phone('defaultPhoneNumber.phoneNumber', 'upper(defaultAddress.countryCodeV2)') }} as phone,
  {{ normalise_phone('defaultAddress.phone', 'upper(defaultAddress.countryCodeV2)') }} as address_phone,
  upper(defaultPhoneNumber.smsMarketingConsent.state) as sms_marketing_state,
  upper(defaultPhoneNumber.smsMarketingConsent.optInLevel) as sms_opt_in_level,
  defaultPhoneNumber.smsMarketingConsent.updatedAt as sms_marketing_updated_at,
  upper(defaultAddress.countryCodeV2) as country,
  defaultAddress.provinceCode as province_code,
  prefecture,
  coalesce(municipality, {{ fold_width('defaultAddress.city') }}) as city,
  town,
  block,
  building,
  {{ normalise_postal_code('defaultAddress.zip') }} as postal_code,
  coalesce(block_key, {{ address_key('defaultAddress.address1') }}) as address_key,
  locale,
  state as account_state,
  {{ list_text('tags') }} as tags,
  createdAt as created_at,
  updatedAt as updated_at,
  is_deleted,
  _landed_at as landed_at
from located
