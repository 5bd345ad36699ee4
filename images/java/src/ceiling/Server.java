package ceiling;

import java.io.IOException;

/** One way of I/O: who accepts, who reads and writes, and who waits for what. */
interface Server {
    /** Listen, and serve from now on in threads of its own. */
    void start() throws IOException;

    /** Accept no more, answer what has been received, close all connections; at most FINISH_NS and a little. */
    void end() throws InterruptedException;

    /** What it is built on, as the report names it. */
    String builtOn();
}
