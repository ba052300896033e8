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

  {#- a mart that keeps its rows is a table of its own first; the file is written when that has changed -#}
  {%- set is_kept = config.get('kept_by') is not none -%}
  {%- set kept_relation = api.Relation.create(database=this.database, schema='kept', identifier=this.identifier, type='table') -%}
  {%- set is_published = false -%}
  {%- if is_kept -%}
    {%- set version = keep(kept_relation, wanted) -%}
    {% do adapter.commit() %}
    {%- set is_published = run_query(
      "select count(*) from kept.published where model = '" ~ this.identifier ~ "' and version = " ~ version
    ).rows[0][0] > 0 and run_query("select count(*) from glob('" ~ final ~ "')").rows[0][0] > 0 -%}
    {%- set wanted = 'select * from ' ~ kept_relation -%}
  {%- endif -%}

  {%- if is_local -%}
    {% call statement('make_folders') -%}
      select make_folder('{{ folder }}'), make_folder('{{ writing_root() }}')
    {%- endcall %}
  {%- endif -%}
  {%- if is_published -%}
    {% call statement('main') -%}select 'unchanged'{%- endcall %}
  {%- else -%}
    {% call statement('main') -%}
      copy ({{ wanted }}) to '{{ aside }}'
      (format parquet, compression zstd, compression_level 1, dictionary_size_limit 1000, write_bloom_filter false)
    {%- endcall %}
    {%- if is_local -%}
      {% call statement('publish') -%}
        select publish_file('{{ aside }}', '{{ final }}')
      {%- endcall %}
    {%- endif -%}
    {%- if is_kept -%}
      {% do run_query("delete from kept.published where model = '" ~ this.identifier ~ "'") %}
      {% do run_query("insert into kept.published values ('" ~ this.identifier ~ "', " ~ version ~ ")") %}
    {%- endif -%}
  {%- endif -%}

  {%- if existing_relation is not none and existing_relation.type != 'view' -%}
    {% do adapter.drop_relation(existing_relation) %}
  {%- endif -%}
  {#- the table is read three times as fast as the file -#}
  {% call statement('create_view') -%}
    create or replace view {{ target_relation }} as
    select * from {{ kept_relation if is_kept else "read_parquet('" ~ final ~ "')" }}
  {%- endcall %}

  {{ run_hooks(post_hooks) }}
  {% do adapter.commit() %}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
