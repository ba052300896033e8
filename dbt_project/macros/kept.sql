{# Models that keep what they have built and work out only what has changed since (DuckDB; Spark builds all of it).

   A model with `kept_by='order_id'` in its config is a table of its own and a log of its changes. `kept_by` is an
   expression over its columns; of two, `(customer_id, as_of)`, it is a row. On a later build it

   1. asks which keys may have changed: the query inside `keys_that_changed`, over the logs of the models it reads
      (`changes_of`), over raw files that are new (`new_rows`, `changed_files`), and over what time alone moves
      (`has_passed`);
   2. works its rows out again for those keys (`rows_of`, `raw_rows_of` stand for a whole table on a full build and for
      the rows of those keys on this one), without a `keys_that_changed` for all of them;
   3. exchanges the rows that differ, writes both versions to its log, and notes how far it has read each input.

   All of that is one transaction, so a model is never ahead of or behind its notes, whenever it is killed. It is built
   in full when its SQL has changed (the as-of time does not count, a 30-day cell does), when an input was, when the
   clock was put back, and on --full-refresh. `kept_from` names the models whose logs it reads, `kept_files` the raw
   streams; `kept_log=false` goes without a log where no model reads it, `kept_log='a condition'` logs only such rows. A
   mart's rows of which `kept_anew='a condition'` is true are another day's every day: they are worked out by each build and
   stand in the mart's file alone, neither kept nor compared; among the keys theirs is 'clock'. #}

{% macro kept_table() %}{{ return('kept' if target.type == 'duckdb' else 'table') }}{% endmacro %}

{% macro rows_of(name, key) -%}
  /*<*/ {{ ref(name) }} /*>{{ key }}*/
{%- endmacro %}

{% macro raw_rows_of(source_name, stream, key) -%}
  /*<*/ {{ source(source_name, stream) }} /*>{{ key }}*/
{%- endmacro %}

{% macro keys_that_changed() -%}
  {%- if target.type == 'duckdb' %}/*keys {{ caller() }} keys*/{% endif -%}
{%- endmacro %}

{% macro changes_of(name) -%}
  (
    select * from kept.{{ name }}__changes
    where version > (select version from kept.inputs where model = '{{ this.identifier }}' and input = '{{ name }}')
  )
{%- endmacro %}

{% macro new_rows(source_name, stream) -%}
  read_parquet(getvariable('new_{{ source_name }}_{{ stream }}_{{ this.identifier }}'), union_by_name = true)
{%- endmacro %}

{# Names without folder and ending of the raw files that came, went or were replaced. #}
{% macro changed_files(source_name, stream) -%}
  (
    select regexp_extract(file, '([^/]+)[.]parquet$', 1) as name
    from changed_{{ source_name }}_{{ stream }}_{{ this.identifier }}
  )
{%- endmacro %}

{# Whether a moment, or one so many days after it, lies between the as-of time of the build before and this one's, both
   included: some windows hold their first moment and some do not. #}
{% macro has_passed(moment, days=[0]) -%}
  (
    {% for count in days -%}
    {{ 'or ' if not loop.first -}}
    (
      {{ days_after(moment, count) }} >= (select as_of from kept.states where model = '{{ this.identifier }}')
      and {{ days_after(moment, count) }} <= {{ as_of() }}
    )
    {% endfor -%}
  )
{%- endmacro %}

{% macro make_kept_books() %}
  {% if execute and flags.WHICH in ('run', 'build') %}
  {% call statement() -%}
    create schema if not exists kept;
    create table if not exists kept.states
    (model varchar, code varchar, version bigint, logged_from bigint, as_of timestamp);
    create table if not exists kept.inputs (model varchar, input varchar, version bigint);
    create table if not exists kept.files
    (model varchar, stream varchar, file varchar, size bigint, changed_at timestamptz);
    create table if not exists kept.marts
    (model varchar, version bigint, file varchar, size bigint, changed_at timestamptz)
  {%- endcall %}
  {% do adapter.commit() %}
  {% endif %}
{% endmacro %}

{# Bring a kept table up to date; returns its version. Every call of the database costs dbt more than these small
   statements cost DuckDB, so there are three: what is known, which keys, and all the rest. #}
{% macro keep(relation, sql) %}
  {%- set me = this.identifier -%}
  {%- set log = 'kept.' ~ me ~ '__changes' -%}
  {%- set parts = sql.split('/*keys') -%}
  {%- set keys = parts[1].split('keys*/')[0] if parts | length > 1 else none -%}
  {%- set rows = parts[0] ~ parts[1].split('keys*/')[1] if keys else sql -%}
  {%- set seeds = [] -%}
  {%- for parent in model.depends_on.nodes if graph.nodes[parent] and graph.nodes[parent].resource_type == 'seed' -%}
    {%- do seeds.append(graph.nodes[parent].checksum.checksum) -%}
  {%- endfor -%}
  {%- set code = local_md5(sql.replace(as_of(), 'as_of') ~ seeds | join ~ model.contract.checksum ~ primary_key_of_model()) -%}

  {%- set known = run_query(what_is_known(relation, code, keys)).rows -%}
  {%- set is_day = known and known[0][1] and not should_full_refresh() -%}
  {%- if is_day -%}
    {%- set version = known[0][0] | int -%}
    {%- set is_touched = not keys or run_query(find_keys(keys)).rows[0][0] > 0 -%}
    {% call statement('main', fetch_result=True) -%}
      {%- if is_touched %}{{ exchange_rows(relation, rows, keys, log, version + 1) }}{% endif %}
      update kept.states set as_of = {{ as_of() }}, logged_from = greatest(logged_from, version - 7) where model = '{{ me }}';
      delete from {{ log }} where version <= (select logged_from from kept.states where model = '{{ me }}');
      {{ note_what_was_read() }}
      {%- if keys %}
      drop table keys_{{ me }};
      {%- endif %}
      select version from kept.states where model = '{{ me }}'
    {%- endcall %}
    {{ return(load_result('main')['data'][0][0] | int) }}
  {%- endif -%}

  {%- if config.get('contract').enforced -%}
    {{ get_assert_columns_equivalent(compiled_code) }}
  {%- endif -%}
  {%- set version = (known[0][0] | int if known else 0) + 1 -%}
  {%- set key = config.get('kept_by') -%}
  {%- set parts = parts_of(rows) -%}
  {%- set kept = ["KEY is distinct from 'clock'"] if config.get('kept_anew') else [] -%}
  {% call statement('main') -%}
    {%- for part in parts %}
    {%- set condition = (kept + ([part] if part else [])) | join(' and ') %}
    {{ 'create or replace table ' ~ relation ~ ' as' if loop.first else 'insert into ' ~ relation }}
    select * from (
      {{ restricted(rows, condition) }}
    ) as wanted{% if condition %} where {{ condition.replace('KEY', key) }}{% endif %};
    {%- endfor %}
    {{ primary_key_check(relation) }};
    create or replace table {{ log }} as
    select *, cast(0 as bigint) as version, false as is_gone from {{ relation }} where false;
    delete from kept.states where model = '{{ me }}';
    insert into kept.states values ('{{ me }}', '{{ code }}', {{ version }}, {{ version }}, {{ as_of() }});
    {{ note_what_was_read() }}
  {%- endcall %}
  {{ return(version) }}
{% endmacro %}

{# The rows that no build keeps (`kept_anew`). #}
{% macro rows_anew(sql) %}
  {%- set rows = sql.split('/*keys')[0] ~ sql.split('keys*/')[1] -%}
  select * from (
    {{ restricted(rows, "KEY = 'clock'") }}
  ) as wanted where {{ config.get('kept_anew') }}
{%- endmacro %}

{# The rows that a model reads, cut down: every relation in `rows_of` to those of whose key (KEY) the condition is true. #}
{% macro restricted(rows, condition) %}
  {%- if not condition -%}{{ return(rows) }}{%- endif -%}
  {%- set pieces = [] -%}
  {%- for piece in rows.split('/*<*/') -%}
    {%- if loop.first -%}
      {%- do pieces.append(piece) -%}
    {%- else -%}
      {%- set ended = piece.split('/*>', 1) -%}
      {%- set closed = ended[1].split('*/', 1) -%}
      {%- do pieces.append('(select * from ' ~ ended[0] ~ ' where ' ~ condition.replace('KEY', closed[0]) ~ ')' ~ closed[1]) -%}
    {%- endif -%}
  {%- endfor %}
  {{ return(pieces | join) }}
{% endmacro %}

{# In which parts a build in full is made, as conditions on its KEY: so many that none reads more than `kept_part_rows`
   rows of one relation, so that memory and what is spilled to disk have a bound whatever the size. Parts are equal keys
   by their hash or, with `kept_ranges`, keys next to each other: those skip the raw files of the others. #}
{% macro parts_of(rows) %}
  {%- set pieces = rows.split('/*<*/')[1:] -%}
  {%- set counts = [] -%}
  {#- a name without a dot is one of the model's own -#}
  {%- for piece in pieces if '.' in piece.split('/*>', 1)[0] -%}
    {%- do counts.append('(select count(*) from ' ~ piece.split('/*>', 1)[0] ~ ')') -%}
  {%- endfor -%}
  {%- if not counts -%}{{ return(['']) }}{%- endif -%}
  {%- set largest = run_query('select greatest(0, ' ~ counts | join(', ') ~ ')').rows[0][0] | int -%}
  {%- set count = largest // var('kept_part_rows') + 1 -%}
  {%- set conditions = [] -%}
  {%- if count == 1 -%}
    {%- do conditions.append('') -%}
  {%- elif config.get('kept_ranges') -%}
    {%- set first = pieces[0].split('/*>', 1) -%}
    {%- set key = first[1].split('*/', 1)[0] -%}
    {%- set values = run_query('select distinct ' ~ key ~ ' from ' ~ first[0] ~ ' where ' ~ key ~ ' is not null order by 1').columns[0].values() | list -%}
    {%- for some in values | batch((values | length + count - 1) // count) -%}
      {%- do conditions.append("KEY between '" ~ some[0] ~ "' and '" ~ some[-1] ~ "'") -%}
    {%- endfor -%}
  {%- else -%}
    {%- for number in range(count) -%}
      {%- do conditions.append('hash(KEY) % ' ~ count ~ ' = ' ~ number) -%}
    {%- endfor -%}
  {%- endif -%}
  {{ return(conditions) }}
{% endmacro %}

{# The version that stands, and whether this build may go on from it. Lists the raw streams' files on the way. #}
{% macro what_is_known(relation, code, keys) %}
  {%- set me = this.identifier -%}
  {%- set inputs = config.get('kept_from', []) -%}
  {%- for stream in config.get('kept_files', []) %}{{ list_raw_files(stream) }}{% endfor %}
  select
    version,
    code = '{{ code }}'
    and as_of <= {{ as_of() }}
    and (
      select count(*) from duckdb_tables()
      where schema_name = '{{ relation.schema }}' and table_name = '{{ relation.identifier }}'
    ) > 0
    {%- if inputs %}
    and (
      select count(*)
      from kept.inputs as i inner join kept.states as s on i.input = s.model
      where i.model = '{{ me }}' and i.input in ('{{ inputs | join("', '") }}') and i.version >= s.logged_from
    ) = {{ inputs | length }}
    {%- endif %}
    {%- for stream in config.get('kept_files', []) if "getvariable('new_" in (keys or '') %}
    {#- `new_rows` cannot say whose rows went with a file #}
    and not exists (
      select * from changed_{{ mark_of(stream) }}
      where file in (select file from kept.files where model = '{{ me }}') and file not like '%/schema.parquet'
    )
    {%- endfor %}
  from kept.states
  where model = '{{ me }}'
{% endmacro %}

{% macro mark_of(stream) %}{{ return(stream.replace('.', '_') ~ '_' ~ this.identifier) }}{% endmacro %}

{# The raw stream's files now, and which of them were not read in this form before. #}
{% macro list_raw_files(stream) %}
  {%- set mark = mark_of(stream) -%}
  {%- set folder = lake_root() ~ '/' ~ stream.replace('raw_', 'raw/', 1).replace('.', '/') -%}
  {%- set noted -%}
    select file, size, changed_at from kept.files where model = '{{ this.identifier }}' and stream = '{{ stream }}'
  {%- endset -%}
  create or replace temp table listed_{{ mark }} as
  select filename as file, size, last_modified as changed_at from read_blob('{{ folder }}/*.parquet');
  create or replace temp table changed_{{ mark }} as
  select distinct file from ((from listed_{{ mark }} except {{ noted }}) union all ({{ noted }} except from listed_{{ mark }}));
  {#- the empty file that every stream has stands for no file at all, which read_parquet refuses #}
  set variable new_{{ mark }} = (
    select list(file) from (
      select file from changed_{{ mark }} where file in (select file from listed_{{ mark }})
      union select '{{ folder }}/schema.parquet'
    )
  );
{% endmacro %}

{% macro find_keys(keys) %}
  create or replace temp table keys_{{ this.identifier }} as
  select distinct key from ({{ keys }}) as found (key) where key is not null;
  select count(*) from keys_{{ this.identifier }}
{% endmacro %}

{# Exchange what differs for the keys that may have changed, and log both versions of it. #}
{% macro exchange_rows(relation, rows, keys, log, version) %}
  {%- set me = this.identifier -%}
  {%- set key = config.get('kept_by') -%}
  {%- set logged = config.get('kept_log', true) -%}
  {%- set primary_key = primary_key_of_model() -%}
  {#- rows without a primary key may be there several times -#}
  {%- set digest = 'hash(t)' if primary_key else 'hash(hash(t), row_number() over (partition by hash(t)))' -%}
  {%- set among = "(select key from keys_" ~ me ~ ")" -%}
  create or replace temp table fresh_{{ me }} as (
    {{ restricted(rows, 'KEY in ' ~ among if keys else '') }}
  );
  create or replace temp table hashed_{{ me }} as select rowid as place, {{ digest }} as digest from fresh_{{ me }} as t;
  {#- the rows of a few keys are held, which saves reading the table for the log once more #}
  create or replace temp table stale_{{ me }} as
  select rowid as place, {{ digest }} as digest{% if keys and logged %}, case when {{ logged }} then t end as held{% endif %}
  from {{ relation }} as t
  {%- if keys %} where {{ key }} in {{ among }}{% endif %};
  create or replace temp table gone_{{ me }} as
  select place from stale_{{ me }} where digest not in (select digest from hashed_{{ me }});
  create or replace temp table added_{{ me }} as
  select place from hashed_{{ me }} where digest not in (select digest from stale_{{ me }});
  {%- if logged %}
  insert into {{ log }} select *, {{ version }}, true from
  {%- if keys %} (select unnest(held) from stale_{{ me }} where place in (select place from gone_{{ me }}))
  {%- else %} (select * from {{ relation }} where rowid in (select place from gone_{{ me }})){% endif %} as gone
  where {{ logged }};
  insert into {{ log }} select *, {{ version }}, false from fresh_{{ me }}
  where rowid in (select place from added_{{ me }}) and {{ logged }};
  {%- endif %}
  delete from {{ relation }} where rowid in (select place from gone_{{ me }});
  insert into {{ relation }} select * from fresh_{{ me }} where rowid in (select place from added_{{ me }});
  {%- if primary_key and (not keys or key_follows(key, primary_key)) %}
  {{ primary_key_check("fresh_" ~ me) }};
  {%- elif primary_key %}
  {#- a null, or a value that comes twice now, is one of a row that was added #}
  {%- set columns = '(' ~ primary_key | join(', ') ~ ')' %}
  {%- set added = "(select * from fresh_" ~ me ~ " where rowid in (select place from added_" ~ me ~ "))" %}
  {{ primary_key_check(added) }};
  {{ primary_key_check("(select * from " ~ relation ~ " where " ~ columns ~ " in (select " ~ columns ~ " from " ~ added ~ "))") }};
  {%- endif %}
  update kept.states set version = {{ version }}
  where model = '{{ me }}' and exists (from gone_{{ me }} union all from added_{{ me }});
  {%- for name in ['fresh', 'hashed', 'stale', 'gone', 'added'] %}
  drop table {{ name }}_{{ me }};
  {%- endfor %}
{% endmacro %}

{# Whether equal primary keys mean equal `kept_by`, which is so when that reads no other column: then a key that comes
   twice comes twice among the rows that were worked out. #}
{% macro key_follows(key, primary_key) %}
  {%- set known = ['coalesce', 'case', 'when', 'then', 'else', 'end', 'cast', 'as', 'timestamp'] -%}
  {%- set read = modules.re.findall('[a-z_]+', modules.re.sub("'[^']*'", '', key)) -%}
  {%- set of_primary_key = modules.re.findall('[a-z_]+', primary_key | join(' ')) -%}
  {{ return(read | reject('in', known + of_primary_key) | list == []) }}
{% endmacro %}

{# How far the logs and the raw files are read with this build. #}
{% macro note_what_was_read() %}
  {%- set me = this.identifier -%}
  {%- set inputs = config.get('kept_from', []) -%}
  {%- if inputs %}
  delete from kept.inputs where model = '{{ me }}';
  insert into kept.inputs
  select '{{ me }}', model, version from kept.states where model in ('{{ inputs | join("', '") }}');
  {%- endif %}
  {%- for stream in config.get('kept_files', []) %}
  delete from kept.files where model = '{{ me }}' and stream = '{{ stream }}';
  insert into kept.files select '{{ me }}', '{{ stream }}', * from listed_{{ mark_of(stream) }};
  {%- endfor %}
{% endmacro %}

{% materialization kept, adapter='duckdb' %}
  {%- if config.get('kept_anew') -%}
    {% do exceptions.raise_compiler_error(this.identifier ~ ': kept_anew needs the file of a mart, and a step has none') %}
  {%- endif -%}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set existing_relation = load_cached_relation(this) -%}
  {%- if existing_relation is not none and existing_relation.type != 'table' -%}
    {% do adapter.drop_relation(existing_relation) %}
  {%- endif -%}
  {{ run_hooks(pre_hooks) }}
  {% do keep(target_relation, compiled_code) %}
  {{ run_hooks(post_hooks) }}
  {% do adapter.commit() %}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
