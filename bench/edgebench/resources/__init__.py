"""Use of resources as time series: one light sampler for all of a session, and its samples as a report's series."""
