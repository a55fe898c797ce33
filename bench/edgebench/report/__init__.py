"""The report `edgebench.report/1`: model, schema, reading and writing, journal."""
