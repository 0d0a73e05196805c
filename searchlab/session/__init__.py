"""What the command line and `searchlab.api` share: a search planned and run, its watch, what is found in a store."""
