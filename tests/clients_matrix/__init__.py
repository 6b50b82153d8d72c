"""Every client with every command and every credential: what was seen is docs/clients.md."""
