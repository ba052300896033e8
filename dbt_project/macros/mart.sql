{# A mart on DuckDB: one Parquet file, written aside and renamed into place, and a view of it in the warehouse.
   dbt-duckdb's own `external` writes the file where readers look and puts a row of nulls into an empty one. #}
{% materialization mart, adapter='duckdb' %}
  {%- set target_relation = this.incorporate(type='view') -%}
  {%- set existing_relation = load_cached_relation(this) -%}
  {%- set folder = marts_root() ~ '/' ~ this.identifier -%}
  {%- set final = folder ~ '/data.parquet' -%}
  {%- set is_local = '://' not in folder -%}
  {%- set aside = (writing_root() ~ '/marts.' ~ this.identifier ~ '.parquet') if is_local else final -%}
  {%- set is_kept = config.get('kept_by') is not none -%}
  {%- set is_contracted = config.get('contract').enforced -%}
  {%- set wanted = get_select_subquery(compiled_code) if is_contracted else compiled_code -%}
  {%- set is_view = existing_relation is not none and existing_relation.type == 'view' -%}
  {%- set is_published = false -%}
  {%- set anew = config.get('kept_anew') if is_kept -%}

  {{ run_hooks(pre_hooks) }}

  {#- a mart that keeps its rows is a table of its own first; the file is written when that has changed -#}
  {%- if is_kept -%}
    {%- set kept_relation = api.Relation.create(database=this.database, schema='kept', identifier=this.identifier, type='table') -%}
    {%- set version = keep(kept_relation, wanted) -%}
    {% do adapter.commit() %}
    {%- set rows = 'select * from ' ~ kept_relation -%}
    {%- set wanted = rows ~ ' union all ' ~ rows_anew(wanted) if anew else rows -%}
    {#- the very file that was written then, not one that somebody has put back -#}
    {%- set is_published = is_view and not anew and run_query("select count(*) from glob('" ~ final ~ "')").rows[0][0] > 0 and run_query(
      "select count(*) from kept.marts as m inner join read_blob('" ~ final ~ "') as f "
      ~ "on m.file = f.filename and m.size = f.size and m.changed_at = f.last_modified "
      ~ "where m.model = '" ~ this.identifier ~ "' and m.version = " ~ version
    ).rows[0][0] > 0 -%}
  {%- elif is_contracted -%}
    {{ get_assert_columns_equivalent(compiled_code) }}
  {%- endif -%}

  {%- if not is_published -%}
    {%- if existing_relation is not none and not is_view -%}
      {% do adapter.drop_relation(existing_relation) %}
    {%- endif -%}
    {#- one call: what each further one takes is more than what a small mart takes -#}
    {% call statement('main') -%}
      {%- if is_local %}
      select make_folder('{{ folder }}'), make_folder('{{ writing_root() }}');
      {%- endif %}
      copy ({{ wanted }}) to '{{ aside }}'
      (format parquet, compression zstd, compression_level 1, dictionary_size_limit 1000, write_bloom_filter false);
      {%- if anew or not is_kept %}
      {{ primary_key_check("(select * from read_parquet('" ~ aside ~ "')" ~ (' where ' ~ anew if anew else '') ~ ')') }};
      {%- endif %}
      {%- if is_local %}
      select publish_file('{{ aside }}', '{{ final }}');
      {%- endif %}
      {%- if is_kept %}
      delete from kept.marts where model = '{{ this.identifier }}';
      insert into kept.marts
      select '{{ this.identifier }}', {{ version }}, filename, size, last_modified from read_blob('{{ final }}');
      {%- endif %}
      {#- the table is read three times as fast as the file #}
      {%- set file = "read_parquet('" ~ final ~ "')" %}
      create or replace view {{ target_relation }} as
      {{ rows if is_kept else 'select * from ' ~ file }}
      {%- if anew %} union all select * from {{ file }} where {{ anew }}{% endif %}
    {%- endcall %}
  {%- endif -%}

  {{ run_hooks(post_hooks) }}
  {% do adapter.commit() %}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
