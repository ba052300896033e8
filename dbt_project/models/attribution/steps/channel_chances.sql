-- the Markov chain of the paths in columns, one row a scenario: as it is, and with every step into one channel leading
-- nowhere
{% set names = channels() -%}
{% set states = ['start'] + names -%}
with counted as (
  select
    {% for from_state in states -%}
    sum(case when from_state = '{{ from_state }}' then transition_count else 0 end) as {{ from_state }}_total,
    {% for to_state in names + ['order'] -%}
    sum(case when from_state = '{{ from_state }}' and to_state = '{{ to_state }}' then transition_count else 0 end)
      as {{ from_state }}_{{ to_state }},
    {% endfor -%}
    {% endfor -%}
    sum(transition_count) as transition_count
  from {{ ref('channel_transitions') }}
),

scenarios as (
  {% for removed in ['nothing'] + names -%}
  select '{{ removed }}' as removed
  {{ 'union all' if not loop.last }}
  {% endfor -%}
),

chances as (
  select
    {% for from_state in states -%}
    {% for to_state in names -%}
    case
      when scenarios.removed = '{{ to_state }}' then 0
      else coalesce({{ ratio('counted.' ~ from_state ~ '_' ~ to_state, 'counted.' ~ from_state ~ '_total') }}, 0)
    end as {{ from_state }}_{{ to_state }},
    {% endfor -%}
    coalesce({{ ratio('counted.' ~ from_state ~ '_order', 'counted.' ~ from_state ~ '_total') }}, 0) as {{ from_state }}_order,
    {% endfor -%}
    scenarios.removed
  from scenarios
  cross join counted
)

select * from chances
