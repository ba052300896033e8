{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'identity_alarms'}}}) }}
-- a warning, not a stop: these customers may be right; assert_no_cluster_is_a_crowd stops what cannot be
select *
from {{ ref('identity_alarms') }}
