-- the stage of the journey overall
select
  customer_id,
  stage as part
from {{ ref('journey_stages') }}
