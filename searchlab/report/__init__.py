"""Records as pandas frames, tables, plots and an HTML page."""
