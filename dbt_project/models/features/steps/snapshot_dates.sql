{{ config(materialized=kept_table(), kept_by='row', kept_log=false) }}
-- the moments at which customers are looked at: the build's clock and every 30 days back from it, or those of snapshot_dates
{% for moment in snapshot_moments() %}
{{ 'union all' if not loop.first }}
select {{ moment }} as as_of
{% endfor %}
