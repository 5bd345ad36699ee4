package ceiling;

import java.util.concurrent.atomic.LongAdder;

/** What is counted. Threads add without waiting for one another; the sums are exact once nobody adds any more. */
final class Counts {
    final LongAdder requests = new LongAdder();
    final LongAdder connections = new LongAdder();
    final LongAdder accepts = new LongAdder();
    final LongAdder threads = new LongAdder();
    final LongAdder badRequests = new LongAdder();

    /** All of them at this instant, as fields of a JSON object. */
    String mark() {
        return "\"at_ns\": " + System.nanoTime() // CLOCK_MONOTONIC, on Linux
                + ", \"requests\": " + requests.sum()
                + ", \"connections\": " + connections.sum()
                + ", \"accepts\": " + accepts.sum()
                + ", \"threads\": " + threads.sum()
                + ", \"bad_requests\": " + badRequests.sum();
    }
}
