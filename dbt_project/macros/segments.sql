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

{# The planned personas of dbt_project.yml as rows: one a persona, or one a persona and category. #}
{% macro planned_personas() %}
  {% for persona in var('personas') %}
  select
    {{ quoted(persona.name) }} as persona,
    cast({{ persona.ages[0] + persona.ages[1] }} as double) / 2 as age_years,
    cast({{ persona.basket_value }} as double) as basket_value,
    {{ quoted(persona.channel) }} as channel,
    cast({{ persona.channel_rate }} as double) as channel_rate,
    cast({{ persona.category_rate }} as double) as category_rate,
    cast({{ persona.sales_rate }} as double) as sales_rate
  {{ 'union all' if not loop.last }}
  {% endfor %}
{% endmacro %}

{% macro persona_categories() %}
  {% for persona in var('personas') %}
  {% set is_last_persona = loop.last %}
  {% for category in persona.categories %}
  select {{ quoted(persona.name) }} as persona, {{ quoted(category) }} as category
  {{ 'union all' if not (loop.last and is_last_persona) }}
  {% endfor %}
  {% endfor %}
{% endmacro %}

{% macro quoted(text) %}{{ return("'" ~ text | replace("'", "''") ~ "'") }}{% endmacro %}
