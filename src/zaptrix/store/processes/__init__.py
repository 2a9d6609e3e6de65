"""What processes tell each other: leases, heartbeats of workers, and figures that one works out for all."""
