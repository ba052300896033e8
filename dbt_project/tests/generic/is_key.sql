{# A model's key: no column of it is null and no combination comes twice. One query instead of two a column. Of a kept
   model whose key was proven by an earlier build only what was added since (macros/kept.sql). #}
{% test is_key(model, columns) %}
  {%- set proven = proven_version(model) %}
  select
    {{ columns | join(', ') }},
    count(*) as row_count
  from {{ model }}
  {%- if proven is not none %}
  semi join (select * from kept.{{ model.identifier }}__added where _version > {{ proven }}) as added
    on {% for column in columns %}{{ 'and ' if not loop.first }}added._key{{ loop.index }} is not distinct from {{ column }} {% endfor %}
  {%- endif %}
  group by {{ columns | join(', ') }}
  having count(*) > 1 {% for column in columns %}or {{ column }} is null {% endfor %}
{% endtest %}
