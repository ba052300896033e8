-- every identifier of every record, with the guard's decision: does it link, and through which node of the graph
with guarded as (
  select * from {{ ref('guarded_identifiers') }}
),

birth_dates as (
  select * from {{ ref('record_birth_dates') }}
),

dated as (
  select
    guarded.*,
    birth_dates.birth_date
  from guarded
  left join birth_dates on guarded.record_key = birth_dates.record_key
),

-- a phone or an address on which two full birth dates meet: two people of one name, a father and his son
contradicted as (
  select link_key
  from dated
  where identifier_type in ('phone', 'name_and_address') and link_key is not null
  group by link_key
  having count(distinct birth_date) > 1
),

-- of two records that a human has told apart the second gives up what both hang on
separated as (
  select distinct
    seconds.record_key,
    seconds.link_key
  from {{ ref('separated_identity_records') }} as pairs
  inner join guarded as firsts
    on pairs.first_record_type = firsts.record_type and pairs.first_record_id = firsts.record_id
  inner join guarded as seconds
    on
      pairs.second_record_type = seconds.record_type
      and pairs.second_record_id = seconds.record_id
      and firsts.link_key = seconds.link_key
),

judged as (
  select
    dated.*,
    case
      when separated.record_key is not null then 'separated_by_hand'
      when contradicted.link_key is not null then 'contradicting_birthdays'
    end as later_guard
  from dated
  left join contradicted on dated.link_key = contradicted.link_key
  left join separated on dated.record_key = separated.record_key and dated.link_key = separated.link_key
)

select
  record_type,
  record_id,
  identifier_type,
  identifier_value,
  rule,
  first_seen_at,
  last_seen_at,
  coalesce(later_guard, guard) as guard,
  case
    when later_guard is null then link_key
    when later_guard = 'contradicting_birthdays' then link_key || '|' || cast(birth_date as string)
  end as link_key
from judged
union all
select
  record_type,
  record_id,
  identifier_type,
  identifier_value,
  rule,
  first_seen_at,
  last_seen_at,
  guard,
  link_key
from {{ ref('forced_links') }}
