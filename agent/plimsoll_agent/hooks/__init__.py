"""One module for each server: patch(module) is called once the server's own module has been imported."""
