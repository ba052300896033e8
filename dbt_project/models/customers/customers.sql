{{ config(kept_by='row') }}
-- who the customer is: each fact from the record that knows it best and newest
with people as (
  select record_type, record_id, customer_id
  from {{ ref('identity_clusters') }}
  where record_type in ('shopify.customers', 'shopify.orders', 'hubspot.contacts')
),

accounts as (
  select people.customer_id, stg.*
  from {{ ref('stg_shopify__customers') }} as stg
  inner join people on people.record_type = 'shopify.customers' and stg.shopify_customer_id = people.record_id
),

contacts as (
  select people.customer_id, stg.*
  from {{ ref('stg_hubspot__contacts') }} as stg
  inner join people on people.record_type = 'hubspot.contacts' and stg.hubspot_contact_id = people.record_id
),

facts as (
  select
    customer_id, 1 as source_rank, shopify_customer_id as record_id, is_deleted, created_at, updated_at,
    first_name, last_name, country, province_code as region, city, postal_code, cast(null as date) as birth_date,
    locale, cast(null as string) as crm_stage
  from accounts
  union all
  select
    customer_id, 2, hubspot_contact_id, is_deleted, created_at, updated_at,
    first_name, last_name, country, region, city, postal_code,
    case when {{ is_possible_birth_date('birth_date') }} then birth_date end, cast(null as string), crm_stage
  from contacts
),

-- per customer the records in order of trust: living before deleted, the shop before the CRM, newest first
ranked as (
  select
    *,
    row_number() over (
      partition by customer_id order by is_deleted asc, source_rank asc, updated_at desc, record_id asc
    ) as trust_rank
  from facts
),

-- the most trusted record that knows a fact gives it
known as (
  select
    customer_id,
    {% for fact in [
      'first_name', 'last_name', 'country', 'region', 'city', 'postal_code', 'birth_date', 'locale'
    ] -%}
    min_by({{ fact }}, case when {{ fact }} is not null then trust_rank end) as {{ fact }},
    {% endfor -%}
    min_by(crm_stage, case when crm_stage is not null then trust_rank end) as crm_stage
  from ranked
  group by customer_id
),

first_seen as (
  select
    record_type,
    record_id,
    min(first_seen_at) as first_seen_at
  from {{ ref('identity_edges') }}
  group by record_type, record_id
),

counted as (
  select
    people.customer_id,
    sum(case when people.record_type = 'shopify.customers' then 1 else 0 end) as account_count,
    sum(case when people.record_type = 'shopify.orders' then 1 else 0 end) as guest_order_count,
    sum(case when people.record_type = 'hubspot.contacts' then 1 else 0 end) as contact_count,
    min(first_seen.first_seen_at) as first_seen_at
  from people
  left join first_seen on people.record_type = first_seen.record_type and people.record_id = first_seen.record_id
  group by people.customer_id
)

select
  counted.customer_id,
  -- a Japanese name is read family name first
  {{ fold_width(
    "case when known.locale like 'ja%' or " ~ matches_pattern('known.last_name', '[^ -~]')
    ~ " then concat_ws(' ', known.last_name, known.first_name) else concat_ws(' ', known.first_name, known.last_name) end"
  ) }} as display_name,
  known.first_name,
  known.last_name,
  known.country,
  known.region,
  known.city,
  known.postal_code,
  known.birth_date,
  known.locale,
  known.crm_stage,
  cast(counted.account_count as bigint) as account_count,
  cast(counted.guest_order_count as bigint) as guest_order_count,
  cast(counted.contact_count as bigint) as contact_count,
  counted.first_seen_at
from counted
left join known on counted.customer_id = known.customer_id
