"""The kinds of load: when the next request is due, and on which connection; nothing here touches a socket."""
