"""Sessions: planning, running and reading of studies, shared by the command line and `searchlab.api`."""
