-- the moments at which customers are looked at: the build's clock and every 30 days back from it
{% for steps in range(var('snapshot_count')) %}
{{ 'union all' if not loop.first }}
select {{ days_before(as_of(), steps * 30) }} as as_of
{% endfor %}
