{# A model's key: no column of it is null and no combination comes twice. One query instead of two a column. #}
{% test is_key(model, columns) %}
  select
    {{ columns | join(', ') }},
    count(*) as row_count
  from {{ model }}
  group by {{ columns | join(', ') }}
  having count(*) > 1 {% for column in columns %}or {{ column }} is null {% endfor %}
{% endtest %}
