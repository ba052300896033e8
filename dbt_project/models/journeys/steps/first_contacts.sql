{%- set kinds = "('shopify.customers', 'shopify.orders', 'hubspot.contacts')" -%}
{{ config(
  materialized=kept_table(), kept_by='customer_id',
  kept_from=['record_identifiers', 'identity_clusters', 'customers', 'sessions']
) }}
{% call keys_that_changed() %}
select customer_id from {{ changes_of('identity_clusters') }} where record_type in {{ kinds }}
union all
select customer_id from {{ changes_of('customers') }}
union all
select customer_id from {{ changes_of('sessions') }}
union all
select customer_id from {{ ref('sessions') }} where {{ has_passed('started_at') }}
union all
select clusters.customer_id
from (
  select record_type, record_id from {{ changes_of('record_identifiers') }}
  union
  select record_type, record_id from {{ ref('record_identifiers') }} where {{ has_passed('first_seen_at') }}
) as records
inner join {{ ref('identity_clusters') }} as clusters
  on records.record_type = clusters.record_type and records.record_id = clusters.record_id
where records.record_type in {{ kinds }}
{% endcall -%}
-- how the shop came to know a customer: the first record of them, and their first visit
with clusters as (
  select clusters.*
  from {{ rows_of('identity_clusters', 'customer_id') }} as clusters
  inner join {{ rows_of('customers', 'customer_id') }} as customers on clusters.customer_id = customers.customer_id
  where clusters.record_type in {{ kinds }}
),

people as (
  select
    clusters.customer_id,
    records.record_type || '|' || records.record_id as event_id,
    records.first_seen_at as event_at,
    row_number() over (
      partition by clusters.customer_id order by records.first_seen_at asc, records.record_type asc, records.record_id asc
    ) as place
  from {{ ref('record_identifiers') }} as records
  inner join clusters on records.record_type = clusters.record_type and records.record_id = clusters.record_id
  where records.record_type in {{ kinds }} and records.first_seen_at < {{ as_of() }}
),

visits as (
  select
    customer_id,
    session_id as event_id,
    started_at as event_at,
    row_number() over (partition by customer_id order by started_at asc, session_id asc) as place
  from {{ rows_of('sessions', 'customer_id') }}
  where customer_id is not null and started_at < {{ as_of() }}
)

select customer_id, event_id, event_at, 'first_seen' as kind
from people
where place = 1
union all
select customer_id, event_id, event_at, 'visited'
from visits
where place = 1
