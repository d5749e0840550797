"""The factory: decides, submits exactly once, explains. It knows contracts, not sites."""
