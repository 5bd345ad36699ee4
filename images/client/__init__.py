"""The load client: makes load over HTTP and counts honestly. See docs/contract/README.md."""
