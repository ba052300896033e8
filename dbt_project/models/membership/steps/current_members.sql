-- who is in which segment now, by every segment's own rule
select distinct
  segment,
  customer_id
from (
  {{ all_segments() }}
) as members
where customer_id is not null
