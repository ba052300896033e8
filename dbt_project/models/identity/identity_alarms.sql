-- clusters somebody should look at, and why; what can be done about each stands in the seeds
with clusters as (
  select
    *,
    record_type || '|' || record_id as record_key
  from {{ ref('identity_clusters') }}
  where record_type in ('shopify.customers', 'hubspot.contacts')
),

sizes as (
  select
    customer_id,
    cast(count(*) as bigint) as record_count
  from clusters
  group by customer_id
),

stated as (
  select distinct
    clusters.customer_id,
    clusters.record_key,
    identifiers.name_key,
    contacts.birth_date
  from clusters
  inner join {{ ref('record_identifiers') }} as identifiers on clusters.record_key = identifiers.record_key
  left join {{ ref('stg_hubspot__contacts') }} as contacts
    on clusters.record_type = 'hubspot.contacts' and clusters.record_id = contacts.hubspot_contact_id
  where not identifiers.is_deleted
),

told_apart as (
  select
    firsts.customer_id,
    count(*) as pair_count
  from {{ ref('separated_identity_records') }} as pairs
  inner join clusters as firsts
    on pairs.first_record_type = firsts.record_type and pairs.first_record_id = firsts.record_id
  inner join clusters as seconds
    on
      pairs.second_record_type = seconds.record_type
      and pairs.second_record_id = seconds.record_id
      and firsts.customer_id = seconds.customer_id
  group by firsts.customer_id
),

findings as (
  select
    customer_id,
    'many_records' as reason,
    record_count as found_count
  from sizes
  where record_count > {{ var('cluster_alarm_size') }}
  union all
  select
    customer_id,
    'contradicting_birthdays',
    count(distinct birth_date)
  from stated
  group by customer_id
  having count(distinct birth_date) > 1
  union all
  select
    customer_id,
    'many_names',
    count(distinct name_key)
  from stated
  group by customer_id
  having count(distinct name_key) > {{ var('cluster_alarm_names') }}
  union all
  select
    customer_id,
    'separated_records_together',
    pair_count
  from told_apart
)

select
  findings.customer_id,
  findings.reason,
  cast(findings.found_count as bigint) as found_count,
  sizes.record_count
from findings
inner join sizes on findings.customer_id = sizes.customer_id
