{# Registers every declared source as a view over its Parquet folder in the lake, under the same address.

   A source named raw_<vendor> stands under raw/<vendor>/<stream>; the others say where in `meta.path`. Raw streams
   always have a schema.parquet; a source marked `meta.optional` may have no folder yet (nothing scored, nothing
   rejected, no build before this one) and is then an empty table of its declared columns. #}
{% macro register_sources() %}
  {% if execute and flags.WHICH in ('run', 'build', 'test', 'compile', 'show') %}
    {% for source_node in graph.sources.values() %}
      {% set relation = api.Relation.create(
          database=source_node.database, schema=source_node.schema, identifier=source_node.identifier) %}
      {% set path = source_path(source_node) %}
      {% do adapter.dispatch('register_source', 'kizuna')(relation, path, source_node) %}
    {% endfor %}
    {% if target.type == 'duckdb' %}{% do adapter.commit() %}{% endif %}
  {% endif %}
{% endmacro %}

{% macro source_path(source_node) %}
  {% set meta = source_node.source_meta %}
  {% if source_node.source_name == 'previous' %}
    {{ return(previous_root() ~ '/' ~ source_node.identifier) }}
  {% endif %}
  {% set folder = lake_root() ~ '/' ~ meta.get('path', source_node.schema.replace('raw_', 'raw/', 1)) %}
  {{ return(folder if meta.get('whole') else folder ~ '/' ~ source_node.identifier) }}
{% endmacro %}

{% macro source_columns(source_node) %}
  {% set columns = [] %}
  {% for column in source_node.columns.values() %}
    {% do columns.append(column.name ~ ' ' ~ column.data_type) %}
  {% endfor %}
  {{ return(columns) }}
{% endmacro %}

{% macro duckdb__register_source(relation, path, source_node) %}
  {% set meta = source_node.source_meta %}
  {% set pattern = path ~ ('/**/*.parquet' if meta.get('whole') else '/*.parquet') %}
  {% do run_query('create schema if not exists ' ~ relation.without_identifier()) %}
  {% set is_missing = run_query("select count(*) from glob('" ~ pattern ~ "')").rows[0][0] == 0 %}
  {% if is_missing and not meta.get('optional') %}
    {% do exceptions.raise_compiler_error(
        'No Parquet file under ' ~ path ~ ' for source ' ~ source_node.source_name ~ '.' ~ source_node.name
        ~ '; run the ingest stage first (it writes an empty schema.parquet for vendors that are not configured), '
        ~ 'or point KIZUNA_LAKE at the lake') %}
  {% elif is_missing %}
    {% set nulls = [] %}
    {% for column in source_node.columns.values() %}
      {% do nulls.append('cast(null as ' ~ column.data_type ~ ') as ' ~ column.name) %}
    {% endfor %}
    {% do run_query('create or replace view ' ~ relation ~ ' as select ' ~ nulls | join(', ') ~ ' where false') %}
  {% else %}
    {#- an optional folder may be older than a column: it is null there, as on Spark -#}
    {% set nulls = [] %}
    {% for column in source_node.columns.values() if meta.get('optional') %}
      {% do nulls.append('cast(null as ' ~ column.data_type ~ ') as ' ~ column.name) %}
    {% endfor %}
    {% do run_query("create or replace view " ~ relation ~ " as select * from read_parquet('" ~ pattern
        ~ "', union_by_name = true" ~ (", filename = 'file_path'" if meta.get('whole') else "") ~ ")"
        ~ (" union all by name select " ~ nulls | join(', ') ~ " where false" if nulls else "")) %}
  {% endif %}
{% endmacro %}

{% macro spark__register_source(relation, path, source_node) %}
  {% set meta = source_node.source_meta %}
  {% set declared = source_columns(source_node) if meta.get('optional') else [] %}
  {% do run_query('create schema if not exists ' ~ relation.without_identifier()) %}
  {% do run_query('drop table if exists ' ~ relation) %}
  {% do run_query('create table ' ~ relation
      ~ (' (' ~ declared | join(', ') ~ ')' if declared else '')
      ~ " using parquet options (mergeSchema 'true', pathGlobFilter '*.parquet', recursiveFileLookup '"
      ~ ('true' if meta.get('whole') else 'false') ~ "') location '" ~ path ~ "'") %}
{% endmacro %}
