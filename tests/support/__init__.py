"""What tests share: small runs and configurations, oracles, faults, and the processes that tests start."""
