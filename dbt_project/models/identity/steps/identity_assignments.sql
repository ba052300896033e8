-- which customer every record belongs to: a component keeps the id its records had, a new one is named after its
-- smallest record
with records as (
  select distinct
    record_type,
    record_id,
    record_type || '|' || record_id as record_key,
    record_type in ('shopify.customers', 'shopify.orders', 'hubspot.contacts') as is_person
  from {{ ref('identity_edges') }}
),

components as (
  select
    records.*,
    coalesce(found.component_key, records.record_key) as component_key,
    before.customer_id as previous_customer_id
  from records
  left join {{ ref('identity_components') }} as found on records.record_key = found.record_key
  left join {{ ref('stg_previous__identity_clusters') }} as before
    on records.record_type = before.record_type and records.record_id = before.record_id
),

claims as (
  select
    component_key,
    previous_customer_id,
    sum(case when is_person then 1 else 0 end) as person_record_count,
    count(*) as record_count
  from components
  where previous_customer_id is not null
  group by component_key, previous_customer_id
),

-- an id goes to the component that holds most of its records
won as (
  select *
  from (
    select
      *,
      row_number() over (
        partition by previous_customer_id order by person_record_count desc, record_count desc, component_key asc
      ) as claim_rank
    from claims
  ) as ranked
  where claim_rank = 1
),

-- and a component that has won several keeps the one with most of its records
kept as (
  select *
  from (
    select
      *,
      row_number() over (
        partition by component_key order by person_record_count desc, record_count desc, previous_customer_id asc
      ) as choice_rank
    from won
  ) as ranked
  where choice_rank = 1
),

-- a part that was split off is named after what it left, or it would get the very id it has just lost
left_behind as (
  select
    component_key,
    min(previous_customer_id) as lost_customer_id
  from claims
  group by component_key
),

each as (
  select distinct component_key
  from components
),

named as (
  select
    each.component_key,
    kept.previous_customer_id as kept_customer_id,
    'c_' || substr(md5(concat_ws('|', each.component_key, left_behind.lost_customer_id)), 1, 20) as new_customer_id,
    'c_' || substr(md5(concat_ws('|', each.component_key, left_behind.lost_customer_id, 'again')), 1, 20) as spare_customer_id
  from each
  left join kept on each.component_key = kept.component_key
  left join left_behind on each.component_key = left_behind.component_key
),

taken as (
  select distinct customer_id from {{ ref('stg_previous__identity_clusters') }}
)

select
  components.record_type,
  components.record_id,
  components.is_person,
  components.component_key,
  components.previous_customer_id,
  coalesce(
    named.kept_customer_id,
    case when taken.customer_id is null then named.new_customer_id else named.spare_customer_id end
  ) as customer_id
from components
inner join named on components.component_key = named.component_key
left join taken on named.new_customer_id = taken.customer_id
