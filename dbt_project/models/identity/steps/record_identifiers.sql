{{ config(
  materialized=kept_table(), kept_by='record_id',
  kept_from=['stg_shopify__customers', 'stg_shopify__orders', 'stg_hubspot__contacts', 'ga4_anchors']
) }}
{% call keys_that_changed() %}
select shopify_customer_id from {{ changes_of('stg_shopify__customers') }}
union all
select order_id from {{ changes_of('stg_shopify__orders') }}
union all
select hubspot_contact_id from {{ changes_of('stg_hubspot__contacts') }}
union all
select record_id from {{ changes_of('ga4_anchors') }}
{% endcall -%}
-- what every record says it is: the raw material of identity, before any guard
with shopify_customers as (
  select * from {{ rows_of('stg_shopify__customers', 'shopify_customer_id') }}
),

guest_orders as (
  select * from {{ rows_of('stg_shopify__orders', 'order_id') }}
  where shopify_customer_id is null
),

hubspot_contacts as (
  select * from {{ rows_of('stg_hubspot__contacts', 'hubspot_contact_id') }}
),

ga4_anchors as (
  select * from {{ rows_of('ga4_anchors', 'record_id') }}
),

mailboxes as (
  select
    'shopify.customers' as record_type, shopify_customer_id as record_id, name_key, created_at, updated_at, is_deleted, email
  from shopify_customers
  union all
  select 'shopify.orders', order_id, cast(null as string), created_at, updated_at, is_deleted, email
  from guest_orders
  union all
  select 'hubspot.contacts', hubspot_contact_id, name_key, created_at, updated_at, is_deleted, email
  from hubspot_contacts
),

stated as (
  select
    'shopify.customers' as record_type, shopify_customer_id as record_id, name_key, created_at, updated_at, is_deleted,
    'shopify_customer' as identifier_type, shopify_customer_number as identifier_value, 'own_number' as rule
  from shopify_customers
  union all
  select
    'shopify.customers', shopify_customer_id, name_key, created_at, updated_at, is_deleted,
    'email', email, 'account_email'
  from shopify_customers
  union all
  select
    'shopify.customers', shopify_customer_id, name_key, created_at, updated_at, is_deleted,
    'phone', phone, 'account_phone'
  from shopify_customers
  union all
  select
    'shopify.customers', shopify_customer_id, name_key, created_at, updated_at, is_deleted,
    'phone', address_phone, 'address_phone'
  from shopify_customers
  union all
  select
    'shopify.customers', shopify_customer_id, name_key, created_at, updated_at, is_deleted,
    'name_and_address', name_key || '|' || postal_code || '|' || address_key, 'same_name_at_address'
  from shopify_customers
  union all
  select
    'shopify.orders', order_id, cast(null as string), created_at, updated_at, is_deleted,
    'email', email, 'order_email'
  from guest_orders
  union all
  -- two addresses of one mailbox, by its provider's own rule
  select
    record_type, record_id, name_key, created_at, updated_at, is_deleted,
    'email_key', {{ email_key('email') }}, 'same_mailbox'
  from mailboxes
  where {{ has_mailbox_rule('email') }}
  union all
  select
    'hubspot.contacts', hubspot_contact_id, name_key, created_at, updated_at, is_deleted,
    'hubspot_contact', hubspot_contact_id as own_number, 'own_number'
  from hubspot_contacts
  union all
  select
    'hubspot.contacts', hubspot_contact_id, name_key, created_at, updated_at, is_deleted,
    'shopify_customer', nullif(shopify_customer_number, ''), 'crm_property'
  from hubspot_contacts
  union all
  select
    'hubspot.contacts', hubspot_contact_id, name_key, created_at, updated_at, is_deleted,
    'email', email, 'contact_email'
  from hubspot_contacts
  union all
  select
    'hubspot.contacts', hubspot_contact_id, name_key, created_at, updated_at, is_deleted,
    'phone', phone, 'contact_phone'
  from hubspot_contacts
  union all
  select
    'hubspot.contacts', hubspot_contact_id, name_key, created_at, updated_at, is_deleted,
    'phone', mobile_phone, 'contact_mobile'
  from hubspot_contacts
  union all
  select
    'hubspot.contacts', hubspot_contact_id, name_key, created_at, updated_at, is_deleted,
    'name_and_address', name_key || '|' || postal_code || '|' || address_key, 'same_name_at_address'
  from hubspot_contacts
  union all
  select
    'hubspot.contacts', contacts.hubspot_contact_id, contacts.name_key, contacts.created_at, contacts.updated_at,
    contacts.is_deleted, 'hubspot_contact', {{ trimmed('merged_id') }}, 'merged_in_crm'
  from hubspot_contacts as contacts
  {{ unnest_list(split_text('contacts.merged_contact_ids', ';'), 'merged_id') }}
  union all
  select
    record_type, record_id, cast(null as string), first_seen_at, last_seen_at, false,
    identifier_type, identifier_value, rule
  from ga4_anchors
)

-- a record the vendor has deleted or merged away keeps its place, but nothing it said links any more
select
  record_type,
  record_id,
  record_type || '|' || record_id as record_key,
  name_key,
  identifier_type,
  identifier_value,
  min(rule) as rule,
  min(created_at) as first_seen_at,
  max(coalesce(updated_at, created_at)) as last_seen_at,
  is_deleted
from stated
where record_id is not null and (identifier_value is not null or rule = 'own_number' or rule = 'order_email')
group by record_type, record_id, name_key, identifier_type, identifier_value, is_deleted
