-- the graph with its components in one file: what the next build compares its links with, so that it looks only at the
-- components that a change touches
select
  links.record_key,
  links.link_key,
  components.component_key
from {{ ref('identity_links') }} as links
inner join {{ ref('identity_components') }} as components on links.record_key = components.record_key
