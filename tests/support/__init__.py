"""What the tests stand on: a server as a process, real clients in a terminal, codes from an app not ours."""
