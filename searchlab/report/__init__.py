"""Records as frames, tables, plots and a page."""
