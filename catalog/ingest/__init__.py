"""Brings people's data into the catalog: each source is read, judged, and told to the user."""
