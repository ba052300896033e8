"""Dagster: four stages in four files (`ingest`, `transform`, `score`, `activate`); the rest schedules and watches."""
