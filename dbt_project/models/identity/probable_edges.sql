-- the edges that no identifier makes: pairs that matching has linked, and pairs that a person has said are one
with matches as (
  select * from {{ ref('stg_scores__identity_matches') }}
  where decided = 'linked'
),

decisions as (
  select * from {{ ref('decided_pairs') }}
),

people as (
  select * from {{ ref('people_records') }}
  where not is_deleted
),

closed as (
  select distinct record_type, record_id, identifier_value
  from {{ ref('closed_identity_edges') }}
  where identifier_type = 'probable_match'
),

pairs as (
  select
    coalesce(matches.record_key_left, decisions.record_key_left) as record_key_left,
    coalesce(matches.record_key_right, decisions.record_key_right) as record_key_right,
    case when decisions.decision = 'same' then 'decided_same' else 'probable_match' end as rule,
    case when decisions.decision = 'different' then 'decided_different' end as guard,
    matches.match_probability,
    matches.match_weight,
    matches.evidence
  from matches
  full outer join decisions
    on
      matches.record_key_left = decisions.record_key_left
      and matches.record_key_right = decisions.record_key_right
  where matches.record_key_left is not null or decisions.decision = 'same'
),

-- both ends are there, or there is no edge
whole as (
  select pairs.*
  from pairs
  inner join people as one on pairs.record_key_left = one.record_key
  inner join people as other on pairs.record_key_right = other.record_key
),

ends as (
  select *, record_key_left as record_key from whole
  union all
  select *, record_key_right as record_key from whole
),

guarded as (
  select
    people.record_type,
    people.record_id,
    ends.record_key_left || '~' || ends.record_key_right as identifier_value,
    ends.rule,
    coalesce(ends.guard, case when closed.record_id is not null then 'closed_by_hand' end) as guard,
    ends.match_probability,
    ends.match_weight,
    ends.evidence
  from ends
  inner join people on ends.record_key = people.record_key
  left join closed
    on
      people.record_type = closed.record_type
      and people.record_id = closed.record_id
      and ends.record_key_left || '~' || ends.record_key_right = closed.identifier_value
)

select
  record_type,
  record_id,
  'probable_match' as identifier_type,
  identifier_value,
  rule,
  guard,
  case when guard is null then 'probable_match|' || identifier_value end as link_key,
  match_probability,
  match_weight,
  evidence
from guarded
