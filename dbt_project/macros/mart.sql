{# A mart on DuckDB: one Parquet file, written aside and renamed into place, and a view of it in the warehouse.
   dbt-duckdb's own `external` writes the file where readers look and puts a row of nulls into an empty one. #}
{% materialization mart, adapter='duckdb' %}
  {%- set target_relation = this.incorporate(type='view') -%}
  {%- set existing_relation = load_cached_relation(this) -%}
  {%- set folder = marts_root() ~ '/' ~ this.identifier -%}
  {%- set final = folder ~ '/data.parquet' -%}
  {%- set is_local = '://' not in folder -%}
  {%- set aside = (writing_root() ~ '/marts.' ~ this.identifier ~ '.parquet') if is_local else final -%}

  {{ run_hooks(pre_hooks) }}

  {%- if config.get('contract').enforced -%}
    {{ get_assert_columns_equivalent(compiled_code) }}
    {%- set wanted = get_select_subquery(compiled_code) -%}
  {%- else -%}
    {%- set wanted = compiled_code -%}
  {%- endif -%}

  {%- if existing_relation is not none and existing_relation.type != 'view' -%}
    {% do adapter.drop_relation(existing_relation) %}
  {%- endif -%}
  {#- one call: what each further one takes is more than what a small mart takes -#}
  {% call statement('main') -%}
    {%- if is_local %}
    select make_folder('{{ folder }}'), make_folder('{{ writing_root() }}');
    {%- endif %}
    copy ({{ wanted }}) to '{{ aside }}' (format parquet, compression zstd);
    {{ primary_key_check("read_parquet('" ~ aside ~ "')") }};
    {%- if is_local %}
    select publish_file('{{ aside }}', '{{ final }}');
    {%- endif %}
    create or replace view {{ target_relation }} as select * from read_parquet('{{ final }}')
  {%- endcall %}

  {{ run_hooks(post_hooks) }}
  {% do adapter.commit() %}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
