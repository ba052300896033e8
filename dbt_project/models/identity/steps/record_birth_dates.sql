-- the birth date of a record: its own, or the only one among records that share its number, or its e-mail and name
with contacts as (
  select * from {{ ref('stg_hubspot__contacts') }}
  where birth_date is not null and not is_deleted
),

strong as (
  select distinct
    identifiers.record_key,
    identifiers.identifier_type || '|' || identifiers.identifier_value
    || case when identifiers.identifier_type = 'email' then '|' || coalesce(identifiers.name_key, '') else '' end as strong_key,
    contacts.birth_date
  from {{ ref('record_identifiers') }} as identifiers
  left join contacts
    on identifiers.record_type = 'hubspot.contacts' and identifiers.record_id = contacts.hubspot_contact_id
  where
    identifiers.identifier_type in ('shopify_customer', 'hubspot_contact', 'email')
    and identifiers.identifier_value is not null and not identifiers.is_deleted
),

shared as (
  select
    strong_key,
    min(birth_date) as birth_date
  from strong
  where birth_date is not null
  group by strong_key
  having min(birth_date) = max(birth_date)
),

found as (
  select
    strong.record_key,
    min(strong.birth_date) as own_date,
    min(shared.birth_date) as smallest_date,
    max(shared.birth_date) as largest_date
  from strong
  left join shared on strong.strong_key = shared.strong_key
  group by strong.record_key
)

select
  record_key,
  coalesce(own_date, smallest_date) as birth_date
from found
where own_date is not null or smallest_date = largest_date
