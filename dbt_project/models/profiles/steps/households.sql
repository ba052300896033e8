-- customers who give the same address, which is a hint of one home and no proof: flat numbers are not compared, and an
-- address that more people share than live in one home (an office, a block of flats) says nothing and is left out
with people as (
  select record_type, record_id, customer_id
  from {{ ref('identity_clusters') }}
  where record_type in ('shopify.customers', 'hubspot.contacts')
),

addresses as (
  select
    people.customer_id,
    accounts.postal_code,
    accounts.address_key
  from {{ ref('stg_shopify__customers') }} as accounts
  inner join people on people.record_type = 'shopify.customers' and accounts.shopify_customer_id = people.record_id
  where not accounts.is_deleted
  union distinct
  select
    people.customer_id,
    contacts.postal_code,
    contacts.address_key
  from {{ ref('stg_hubspot__contacts') }} as contacts
  inner join people on people.record_type = 'hubspot.contacts' and contacts.hubspot_contact_id = people.record_id
  where not contacts.is_deleted
),

homes as (
  select
    customer_id,
    'h_' || md5(postal_code || '|' || address_key) as household_id
  from addresses
  where postal_code <> '' and {{ matches_pattern('address_key', '[0-9]') }}
),

counted as (
  select
    household_id,
    count(distinct customer_id) as household_customer_count
  from homes
  group by household_id
),

-- somebody with two addresses belongs to the one they share with most
ranked as (
  select
    homes.customer_id,
    homes.household_id,
    counted.household_customer_count,
    row_number() over (
      partition by homes.customer_id order by counted.household_customer_count desc, homes.household_id asc
    ) as home_rank
  from homes
  inner join counted on homes.household_id = counted.household_id
  where counted.household_customer_count <= 8
)

select
  customer_id,
  household_id,
  household_customer_count
from ranked
where home_rank = 1
