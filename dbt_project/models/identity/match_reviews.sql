{%- set agreements = '(same_user|same|typing_error|swapped|short_form|alike)' %}
-- the queue of a person who looks at pairs that matching would not decide; write the verdict into match_decisions
with matches as (
  select * from {{ ref('stg_scores__identity_matches') }}
  where decided = 'review'
),

decisions as (
  select * from {{ ref('decided_pairs') }}
),

people as (
  select
    people.record_key,
    people.record_type,
    people.record_id,
    clusters.customer_id
  from {{ ref('people_records') }} as people
  inner join {{ ref('identity_clusters') }} as clusters
    on people.record_type = clusters.record_type and people.record_id = clusters.record_id
  where not people.is_deleted
)

select
  matches.record_key_left,
  matches.record_key_right,
  one.record_type as record_type_left,
  one.record_id as record_id_left,
  one.customer_id as customer_id_left,
  other.record_type as record_type_right,
  other.record_id as record_id_right,
  other.customer_id as customer_id_right,
  matches.match_probability,
  matches.match_weight,
  nullif({{ trimmed(replace_pattern('matches.evidence', '(^| )[a-z_]+=different')) }}, '') as agreed,
  nullif({{ trimmed(replace_pattern('matches.evidence', '(^| )[a-z_]+=' ~ agreements)) }}, '') as disagreed,
  matches.reason
from matches
inner join people as one on matches.record_key_left = one.record_key
inner join people as other on matches.record_key_right = other.record_key
left join decisions
  on
    matches.record_key_left = decisions.record_key_left
    and matches.record_key_right = decisions.record_key_right
where decisions.decision is null and one.customer_id <> other.customer_id
