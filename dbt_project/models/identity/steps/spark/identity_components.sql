-- connected components of the identity graph on Spark; the DuckDB model of this name gives the same rows
{{ connected_components(ref('identity_links')) }}
