{{ config(
  materialized=kept_table(), kept_by='coalesce(identifier_value, record_id)', kept_from=['record_identifiers'],
  kept_log=false
) }}
{% call keys_that_changed() %}
select coalesce(identifier_value, record_id) from {{ changes_of('record_identifiers') }}
{% endcall -%}
-- what each identifier may link on its own account: the guards that look at one identifier at a time
with identifiers as (
  select * from {{ rows_of('record_identifiers', 'coalesce(identifier_value, record_id)') }}
),

closed as (
  select
    record_type,
    record_id,
    identifier_type,
    identifier_value
  from {{ ref('closed_identity_edges') }}
  union
  -- closing an address closes its mailbox
  select
    record_type,
    record_id,
    'email_key' as identifier_type,
    {{ email_key('identifier_value') }} as identifier_value
  from {{ ref('closed_identity_edges') }}
  where identifier_type = 'email'
),

-- how many people, by name, use an identifier; kanji and Latin spellings of one name cannot be compared
named as (
  select
    *,
    {{ matches_pattern('name_key', '^[!-~]+$') }} as is_latin_name,
    case
      when identifier_type in ('email', 'email_key') then {{ matches_pattern('identifier_value', role_address_pattern()) }}
      else false
    end as is_role_address,
    case
      when identifier_type in ('email', 'email_key') then {{ matches_pattern('identifier_value', dummy_email_pattern()) }}
      when identifier_type = 'phone' then {{ matches_pattern('identifier_value', dummy_phone_pattern()) }}
      else false
    end as is_dummy
  from identifiers
),

usage as (
  select
    identifier_type,
    identifier_value,
    count(distinct name_key) as name_count,
    count(distinct case when is_latin_name then name_key end) as latin_name_count,
    count(distinct case when not is_latin_name then name_key end) as other_name_count,
    count(distinct case when record_type in ('shopify.customers', 'hubspot.contacts') then record_key end) as record_count
  from named
  where identifier_value is not null and not is_deleted
  group by identifier_type, identifier_value
),

-- whose an e-mail is when several names use it: the account's, then the most frequent, then the first
name_ranks as (
  select
    identifier_type,
    identifier_value,
    is_latin_name,
    name_key,
    row_number() over (
      partition by identifier_type, identifier_value, is_latin_name
      order by
        max(case when record_type = 'shopify.customers' then 1 else 0 end) desc,
        count(distinct record_key) desc, min(first_seen_at) asc, name_key asc
    ) as name_rank
  from named
  where identifier_type in ('email', 'email_key') and name_key is not null and not is_deleted
  group by identifier_type, identifier_value, is_latin_name, name_key
),

guarded as (
  select
    named.*,
    case
      when named.identifier_value is null then 'missing'
      when named.is_deleted then 'record_deleted'
      when closed.record_id is not null then 'closed_by_hand'
      when named.is_dummy then 'dummy'
      when usage.record_count > {{ identifier_limit('named.identifier_type', 'records') }} then 'too_many_records'
      when usage.name_count > {{ identifier_limit('named.identifier_type', 'names') }} then 'too_many_people'
      -- a mailbox several people read: only records that also carry the same name are one person
      when named.is_role_address then 'role_address'
      when named.identifier_type = 'phone' and usage.name_count > 1 and named.name_key is null then 'no_name_on_shared_phone'
      when named.identifier_type = 'phone' and usage.name_count > 1 then 'only_same_name'
      when
        named.identifier_type in ('email', 'email_key') and named.name_key is not null and name_ranks.name_rank > 1
        then 'only_same_name'
    end as guard
  from named
  left join closed
    on
      named.record_type = closed.record_type
      and named.record_id = closed.record_id
      and named.identifier_type = closed.identifier_type
      and named.identifier_value = closed.identifier_value
  left join usage
    on named.identifier_type = usage.identifier_type and named.identifier_value = usage.identifier_value
  left join name_ranks
    on
      named.identifier_type = name_ranks.identifier_type
      and named.identifier_value = name_ranks.identifier_value
      and named.name_key = name_ranks.name_key
)

select
  record_type,
  record_id,
  record_key,
  identifier_type,
  identifier_value,
  rule,
  first_seen_at,
  last_seen_at,
  guard,
  case
    when guard is null then identifier_type || '|' || identifier_value
    when guard in ('only_same_name', 'role_address', 'too_many_people') and name_key is not null
      then identifier_type || '|' || identifier_value || '|' || name_key
  end as link_key
from guarded
