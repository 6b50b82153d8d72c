"""What twokey promises, held against a running one."""
