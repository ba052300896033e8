-- nobody whom the shop may write to, text or show advertisements
select customer_id
from {{ ref('customer_360') }}
where not can_email and not can_text and not can_show_ads
