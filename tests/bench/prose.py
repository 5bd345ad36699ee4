"""The parts of docs/accuracy.md that no run changes."""

HEAD = """\
# Accuracy of the load client

<!-- Made by `make accuracy` from accuracy/run.json; edit tests/bench/prose.py or the gates in tests/bench/gates/ instead. -->

How far the client's numbers can be trusted, by measurement: against servers whose behaviour is known by construction, and beside other load generators
in the same run. `make bench` measures all of it again on your machine and exits with 1 where a bound is missed; `make accuracy RUN=.ceiling/bench/run.json` makes this
page of that run. The page below is made from the stored run ([run.json](accuracy/run.json)), and a missed gate stands here as missed.

A bound reads max(bound, 1.5 × floor) where a floor is told: a bare timerfd loop, pinned to the same core in the same run, shows how punctual a program that sleeps can be at
all on this machine. Percentiles are those of HdrHistogram buckets, and are told only where at least 10 requests lie beyond them. Brackets hold 95 % intervals. Rows with a dash have no bound: they are published."""

LIMITS = """\
## Limits of validity

- **One machine, loopback.** Client and server share a kernel, and the kernel does the receiving side's work on the sender's core. Nothing here says what a network card, an
  interrupt or a switch adds.
- **Two cores**, one for the servers, one for the client, where there are no more. What else runs on the machine, this program included, runs on one of them; a virtual machine's
  cores may be taken away without notice, which shows in p99.9 of the send lag and of the floor alike.
- **The floor moves with the machine.** A bound that was widened to 1.5 × floor says that the machine is not more punctual than that, not that the client is.
- **HTTP/1.1 without TLS**, small requests and answers, one request at a time on a connection, one client process except where connections are counted.
- **Python on both sides.** The delay server's record is its own: from when its loop learns of a request to when the answer is handed to the kernel. What lies between the client's
  send and that moment is in the client's response time and not in the record: it is the difference that is measured.
- The stall formula is that of a server much faster than the load; above ρ = 0.1 it is not asked for.

## What this does not claim

- That the client is the fastest. wrk and h2load are C; the claim is that the client's core is not what is measured, up to the rates of the table, and every trial says so of itself
  (send lag, CPU, "Who gave out" in [method.md](method.md)).
- That a closed loop's percentiles mean anything beyond saturation, the client's own included: see what they show of the stall.
- That wrk's percentiles are measured: since version 4 it adds samples for the requests that a stall kept it from sending. They come out near the truth where the load would have
  been as even as it assumes; they are not observations, and this client adds none.
- That a gate that holds here holds elsewhere: run `make bench`.
- That twenty A/A comparisons prove a rate of false alarms: they would show a gross one."""
