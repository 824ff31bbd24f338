"""What the papers claim, as measurements that a command runs; one file per paper."""
