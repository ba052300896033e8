-- what is compared when no identifier joins two records; nothing at all when matching is switched off
with shopify_customers as (
  select * from {{ ref('stg_shopify__customers') }}
),

guest_orders as (
  select * from {{ ref('stg_shopify__orders') }}
  where shopify_customer_id is null
),

hubspot_contacts as (
  select * from {{ ref('stg_hubspot__contacts') }}
),

people as (
  select
    'shopify.customers' as record_type, shopify_customer_id as record_id, first_name, last_name, name_key,
    cast(null as date) as birth_date, email, coalesce(phone, address_phone) as phone, postal_code, city, address_key,
    country, is_deleted, created_at, updated_at
  from shopify_customers
  union all
  select
    'hubspot.contacts', hubspot_contact_id, first_name, last_name, name_key, birth_date, email,
    coalesce(mobile_phone, phone), postal_code, city, address_key, country, is_deleted, created_at, updated_at
  from hubspot_contacts
  union all
  select
    'shopify.orders', order_id, cast(null as string), cast(null as string), cast(null as string), cast(null as date),
    email, cast(null as string), cast(null as string), cast(null as string), cast(null as string),
    cast(null as string), is_deleted, created_at, updated_at
  from guest_orders
)

select
  record_type,
  record_id,
  record_type || '|' || record_id as record_key,
  first_name,
  last_name,
  name_key,
  cast(null as string) as first_name_kana,
  cast(null as string) as last_name_kana,
  birth_date,
  -- an office's mailbox says nothing of a person
  case when not {{ matches_pattern('email', role_address_pattern()) }} then email end as email,
  phone,
  nullif(postal_code, '') as postal_code,
  nullif(city, '') as city,
  nullif(address_key, '') as address_key,
  country,
  is_deleted,
  created_at,
  updated_at
from people
where record_id is not null and {{ var('match_people') }}
