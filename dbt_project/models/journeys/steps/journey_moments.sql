-- the stage at every moment at which it may change
{{ journey_moments_of(ref('journey_signals')) }}
