"""The vocabulary of authority: who acts, what may be asked, what the rules are. Imports nothing of the domain."""
