{# Segments are gathered from two lists in dbt_project.yml: a model listed under `segments` returns customer_id; one listed
   under `segment_families` returns customer_id and `part`, and each part is a segment named <model>.<part>. #}
{% macro all_segments() %}
  {% for name in var('segments') %}
  select '{{ name }}' as segment, customer_id
  from {{ ref(name) }}
  union all
  {% endfor %}
  {% for name in var('segment_families') %}
  select '{{ name }}.' || part as segment, customer_id
  from {{ ref(name) }}
  {{ 'union all' if not loop.last }}
  {% endfor %}
{% endmacro %}

{# The named groups of the RFM grid; every cell of quintiles (5 is best) belongs to exactly one. Frequency and spend are
   taken together, as the half that is rounded up. #}
{% macro rfm_group(recency, frequency, spend) -%}
  {%- set value = '(' ~ frequency ~ ' + ' ~ spend ~ ')' -%}
  case
    when {{ recency }} >= 4 and {{ value }} >= 9 then 'champions'
    when {{ recency }} >= 3 and {{ value }} >= 7 then 'loyal'
    when {{ recency }} <= 2 and {{ value }} >= 9 then 'cannot_lose_them'
    when {{ recency }} <= 2 and {{ value }} >= 6 then 'at_risk'
    when {{ recency }} >= 4 and {{ value }} >= 4 then 'potential_loyalists'
    when {{ recency }} = 5 then 'recent'
    when {{ recency }} = 4 then 'promising'
    when {{ recency }} = 3 and {{ value }} >= 4 then 'need_attention'
    when {{ recency }} = 3 then 'about_to_sleep'
    when {{ value }} >= 4 then 'hibernating'
    else 'lost'
  end
{%- endmacro %}
