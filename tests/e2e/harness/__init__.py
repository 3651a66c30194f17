"""What the end-to-end tests are written with: the proxy as a process, its configuration, load, and what is left behind."""
