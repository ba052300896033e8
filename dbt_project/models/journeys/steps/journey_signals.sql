-- everything that may move a customer: what they did, and the moments at which time alone counts, those to come as well
{{ journey_signals_of(ref('first_contacts'), ref('journey_browsing'), ref('journey_orders')) }}
