"""The load client: makes load over HTTP or STOMP and counts honestly. Its conversation is in docs/contract/README.md.

What is counted, precisely:

- **Intended time.** Open loop: the schedule's. Closed loop: the send, with or without a think time before it. A request that has to open its connection first
  (every one with `per-request`, and the first one after a connection was lost, or given up after its number of requests)
  counts from the intended connect.
- **Kept connections** are opened ahead, each with a first request at once, so that `first_byte` runs from the intended
  connect to the first byte of that answer. Starved connections hold up `ready` for one second at most. These requests
  are part of `life_ok` and `life_unknown`. `connect` and `first_byte` hold every kept connection opened before the
  window's end; with `per-request`, those intended in the window. `connect` runs from the connect call until a request
  can be sent: with TLS that is after its handshake, over STOMP after CONNECTED. What was to
  have a value there and never got one, for whatever reason, is in `connect_missing` and `first_byte_missing`: values
  and missing ones together are the connects begun, and for `first_byte` with `per-request` the requests intended.
- **Send lag** of an open loop is the send minus the later of the intended time and the moment a connection became
  free: waiting for a busy server is none. What became due while the client itself did not look lags by the rest of that
  absence, if a connection was free in it or was found answered after it, however long it waits for the server then.
  Where a connection must be opened first, the connect call is the send. With a think time it is the send minus the end
  of that time. A closed loop without one has none.
- **Phases** and **kinds** of a mix count what the whole counts over intended times, each request once. An unsent
  request is of the kind that is drawn for it.
- **New connections** of a hold load: their first requests count over the time of their answers and over the life, not
  over intended times, which are the schedule's. They are never among the connections served or starved.
- **Served** is a connection with any whole answer in the window, or a right one in time to a request intended in it;
  **starved** one that was asked for something in the window and is not served. In a closed loop the two add up to the
  connections asked for, but for those that thought, rested or waited for the server's close all through it; a slow
  open loop may not ask every connection.
- **Errors** hold what is not a right answer, whole and in time. Right is a 2xx, or exactly the status expected, and a
  body of the length expected, if one is; of a mix, what is expected of that kind of request. Over STOMP it is the
  receipt that was asked for. A right answer after its deadline is a timeout.
- **In flight** is counted for served and starved connections apart; residence counts right answers only.
- **Bytes** are counted when their answer ends.
- After a failure a slot goes on at once, after several in a row it rests 10, 20, … 500 ms.
"""
