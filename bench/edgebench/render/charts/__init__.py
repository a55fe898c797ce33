"""Charts as plain values, and their SVG: fluid in width, text of one size on every screen, no library, no network.

The public face: `scale.scale` (an axis), `plot` (`Plot` and what stands in it), `bars` (`Bars`), `pareto.standings`
(who is on the front), `lines.over_time` (a figure over releases), `svg.drawn` (any of them as markup for a page).

A library that draws in the browser (Plotly, Vega) is above a megabyte of script; one that draws on the server
(Matplotlib) fixes the width, so that a phone shows text of 4 px.
"""
