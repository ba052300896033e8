{# A table on DuckDB, made in the place of the one before in one transaction: readers see the old table or the new one, and
   a table that breaks its primary key leaves the old one. dbt-duckdb's own builds beside it, renames both and drops one:
   eight statements for one, most of what a small table takes. #}
{% materialization table, adapter='duckdb', supported_languages=['sql', 'python'] %}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set existing_relation = load_cached_relation(this) -%}
  {{ run_hooks(pre_hooks) }}
  {%- if model['language'] == 'sql' -%}
    {% call statement('main') -%}
      {%- if existing_relation is not none %}
      drop {{ existing_relation.type }} {{ existing_relation }};
      {%- endif %}
      {{ create_table_as(False, target_relation, compiled_code) }};
      {{ primary_key_check(target_relation) }}
    {%- endcall %}
  {%- else -%}
    {%- if existing_relation is not none -%}
      {% do adapter.drop_relation(existing_relation) %}
    {%- endif -%}
    {% call statement('main', language=model['language']) -%}
      {{ create_table_as(False, target_relation, compiled_code, model['language']) }}
    {%- endcall %}
    {% call statement('primary_key') -%}{{ primary_key_check(target_relation) }}{%- endcall %}
  {%- endif -%}
  {{ run_hooks(post_hooks) }}
  {% do adapter.commit() %}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
