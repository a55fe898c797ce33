"""Energy and power sources of edge boards: a library of its own, which needs nothing of edgebench."""
