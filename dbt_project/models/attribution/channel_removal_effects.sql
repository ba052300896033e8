{{ config(kept_by='row') }}
-- What the shop would lose without a channel (Anderl, Becker, von Wangenheim, Schumann 2016, "Mapping the customer
-- journey", Int. J. of Research in Marketing 33): the chance that a path ends in an order, as the chain is and with the
-- channel leading nowhere. The channels are eliminated one after the other, which is exact and needs no iteration:
-- a_ij + a_ik * a_kj / (1 - a_kk).
{% set names = channels() -%}
with chances as (
  select * from {{ ref('channel_chances') }}
),

{% for gone in names -%}
{%- set left = names[loop.index:] -%}
without_{{ gone }} as (
  select
    {% for from_state in ['start'] + left -%}
    {% for to_state in left + ['order'] -%}
    {{ from_state }}_{{ to_state }} + {{ from_state }}_{{ gone }} * {{ gone }}_{{ to_state }} / (1 - {{ gone }}_{{ gone }})
      as {{ from_state }}_{{ to_state }},
    {% endfor -%}
    {% endfor -%}
    removed
  from {{ 'chances' if loop.first else 'without_' ~ loop.previtem }}
),

{% endfor -%}
compared as (
  select
    ends.removed as channel,
    ends.start_order as chance_without,
    whole.start_order as chance,
    coalesce(1 - ends.start_order / nullif(whole.start_order, 0), 0) as effect
  from without_{{ names[-1] }} as ends
  inner join without_{{ names[-1] }} as whole on ends.removed <> 'nothing' and whole.removed = 'nothing'
),

-- in millionths, so that shares of them are exact on every engine
counted_effects as (
  select
    channel,
    cast(round(chance * 1000000) as bigint) as chance,
    cast(round(chance_without * 1000000) as bigint) as chance_without,
    cast(round(effect * 1000000) as bigint) as effect
  from compared
)

select
  channel,
  {{ ratio('chance', '1000000') }} as order_probability,
  {{ ratio('chance_without', '1000000') }} as order_probability_without,
  {{ ratio('effect', '1000000') }} as removal_effect,
  {{ ratio('effect', 'sum(effect) over ()') }} as removal_share,
  effect as effect_millionths
from counted_effects
