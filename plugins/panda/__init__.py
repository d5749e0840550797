"""What plug-ins share that talk to a PanDA server."""
