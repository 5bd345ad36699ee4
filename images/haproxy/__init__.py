"""The balancer: HAProxy, told and asked as docs/contract/README.md says ("The balancer"). It never imports `harness`."""
