{# The one rule of consent, over statements grouped by `keys`: a no stands until the person's own, later yes; a yes that
   somebody else recorded counts only where nobody has said no. One row a group, with the statement that decided. #}
{% macro decide_consent(statements, keys) %}
  with ranked as (
    select
      *,
      row_number() over (
        partition by {{ keys | join(', ') }}, verdict
        -- a no of unknown date is taken for the newest, a yes of unknown date for the oldest
        order by
          case when stated_at is null and verdict = 'no' then 0 else 1 end, is_own_act desc,
          stated_at desc nulls last, source_system asc, evidence asc
      ) as verdict_rank
    from {{ statements }}
  ),

  no as (
    select * from ranked
    where verdict = 'no' and verdict_rank = 1
  ),

  yes as (
    select * from ranked
    where verdict = 'yes' and verdict_rank = 1
  ),

  paired as (
    select
      {% for key in keys %}coalesce(no.{{ key }}, yes.{{ key }}) as {{ key }},
      {% endfor %}
      yes.evidence is not null
      and (no.evidence is null or coalesce(yes.is_own_act and yes.stated_at > no.stated_at, false)) as is_granted,
      no.evidence as no_evidence,
      no.source_system as no_source,
      no.stated_at as no_at,
      yes.evidence as yes_evidence,
      yes.is_own_act as is_own_yes,
      yes.stated_at as yes_at
    from no
    full outer join yes on {% for key in keys %}no.{{ key }} = yes.{{ key }}{{ ' and ' if not loop.last }}{% endfor %}
  )

  select
    {% for key in keys %}{{ key }},
    {% endfor %}
    case when is_granted then 'granted' else 'denied' end as decision,
    case
      when is_granted and no_evidence is not null then 'opted_in_again'
      when is_granted and is_own_yes then 'opted_in'
      when is_granted then 'recorded_opt_in'
      when yes_evidence is not null then 'opted_out_despite_opt_in'
      else 'opted_out'
    end || case when is_granted then '' else '_in_' || no_source end as reason,
    case when is_granted then yes_evidence else no_evidence end as evidence,
    case when is_granted then yes_at else no_at end as decided_at
  from paired
{% endmacro %}
