"""HTCondor: what its batch and submit plug-ins share."""
